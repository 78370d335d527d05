"""What Deployments and ReplicaSets have in common."""

from __future__ import annotations

from picluster.api import selectors
from picluster.api.errors import ApiError, FieldError, forbidden_field, invalid_value, not_supported, required
from picluster.api.types import Object
from picluster.api.validation import podspec
from picluster.api.validation.common import label_selector, not_negative

Failures = list[FieldError]


def selector_and_template(spec: Object, failures: Failures) -> None:
    """The selector is there, is not empty and selects the template's pods, and the template is a good one."""
    selector = spec.get("selector")
    if selector is None:
        failures.append(required("spec.selector"))
    else:
        label_selector(selector, "spec.selector", failures)
        if not selector.get("matchLabels") and not selector.get("matchExpressions"):
            detail = "empty selector is invalid for deployment"
            failures.append(invalid_value("spec.selector", selector, detail))
    template = spec.get("template") or {}
    _selects(selector, template, failures)
    podspec.template(template, "spec.template", failures)
    pod_spec = template.get("spec") or {}
    if pod_spec.get("restartPolicy") != "Always":
        policy = pod_spec.get("restartPolicy", "")
        failures.append(not_supported("spec.template.spec.restartPolicy", policy, ("Always",)))
    if pod_spec.get("activeDeadlineSeconds") is not None:
        detail = "activeDeadlineSeconds in ReplicaSet is not Supported"
        failures.append(forbidden_field("spec.template.spec.activeDeadlineSeconds", detail))


def counts(status: Object, fields: tuple[str, ...], failures: Failures) -> None:
    """Numbers in a status: not negative, not more than there are replicas, not more available than ready."""
    for field in ("replicas", *fields, "observedGeneration", "terminatingReplicas"):
        not_negative(status, field, "status", failures)
    replicas = status.get("replicas", 0)
    for field in fields:
        count = status.get(field, 0)
        if count > replicas:
            failures.append(invalid_value(f"status.{field}", count, "cannot be greater than status.replicas"))
    available = status.get("availableReplicas", 0)
    if available > status.get("readyReplicas", 0):
        failures.append(invalid_value("status.availableReplicas", available, "cannot be greater than readyReplicas"))


def _selects(selector: Object | None, template: Object, failures: Failures) -> None:
    try:
        compiled = selectors.from_object(selector)
    except ApiError:
        failures.append(invalid_value("spec.selector", selector, "invalid label selector"))
        return
    labels = (template.get("metadata") or {}).get("labels")
    if not compiled.empty and compiled != selectors.NOTHING and not compiled.matches(labels):
        detail = "`selector` does not match template `labels`"
        failures.append(invalid_value("spec.template.metadata.labels", labels or {}, detail))
