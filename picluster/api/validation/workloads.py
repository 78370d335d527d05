"""What the kinds that keep pods of a template running have in common."""

from __future__ import annotations

from picluster.api import selectors
from picluster.api.errors import ApiError, FieldError, forbidden_field, invalid_value, not_supported, required
from picluster.api.types import Object
from picluster.api.validation import podspec
from picluster.api.validation.common import label_selector, not_negative

Failures = list[FieldError]


def selector_and_template(
    spec: Object, failures: Failures, *, selector_of: str = "deployment", template_of: str = "ReplicaSet"
) -> None:
    """The selector is there, is not empty and selects the template's pods, and the template is a good one.

    ``selector_of`` and ``template_of`` are how the refusals call the kind.
    """
    selector = spec.get("selector")
    if selector is None and selector_of != "daemonset":  # where one is not asked for, it only does not match
        failures.append(required("spec.selector"))
    elif selector is not None:
        label_selector(selector, "spec.selector", failures)
        if not selector.get("matchLabels") and not selector.get("matchExpressions"):
            detail = f"empty selector is invalid for {selector_of}"
            failures.append(invalid_value("spec.selector", selector, detail))
    template = spec.get("template") or {}
    _selects(selector, template, failures)
    podspec.template(template, "spec.template", failures)
    runs_for_ever(template, template_of, failures)


def runs_for_ever(template: Object, kind: str, failures: Failures) -> None:
    """Pods that are replaced when they end must not be meant to end."""
    spec, path = template.get("spec") or {}, "spec.template.spec"
    if spec.get("restartPolicy") != "Always":
        failures.append(not_supported(f"{path}.restartPolicy", spec.get("restartPolicy", ""), ("Always",)))
    if spec.get("activeDeadlineSeconds") is not None:
        detail = f"activeDeadlineSeconds in {kind} is not Supported"
        failures.append(forbidden_field(f"{path}.activeDeadlineSeconds", detail))


def not_decremented(status: Object, old: Object, field: str, failures: Failures) -> None:
    if status.get(field, 0) < old.get(field, 0):
        failures.append(invalid_value(f"status.{field}", status.get(field, 0), "cannot be decremented"))


def counts(status: Object, fields: tuple[str, ...], failures: Failures, *, ready: str = "readyReplicas") -> None:
    """Numbers in a status: not negative, not more than there are replicas, not more available than ready.

    ``ready`` is how the kind's refusal calls the number of ready replicas.
    """
    for field in ("replicas", *fields, "observedGeneration", "terminatingReplicas"):
        not_negative(status, field, "status", failures)
    replicas = status.get("replicas", 0)
    for field in fields:
        count = status.get(field, 0)
        if count > replicas:
            failures.append(invalid_value(f"status.{field}", count, "cannot be greater than status.replicas"))
    available = status.get("availableReplicas", 0)
    if available > status.get("readyReplicas", 0):
        failures.append(invalid_value("status.availableReplicas", available, f"cannot be greater than {ready}"))


def _selects(selector: Object | None, template: Object, failures: Failures) -> None:
    try:
        compiled = selectors.from_object(selector)
    except ApiError:
        failures.append(invalid_value("spec.selector", selector, "invalid label selector"))
        return
    labels = (template.get("metadata") or {}).get("labels")
    if not compiled.empty and not compiled.matches(labels):
        detail = "`selector` does not match template `labels`"
        failures.append(invalid_value("spec.template.metadata.labels", labels or {}, detail))
