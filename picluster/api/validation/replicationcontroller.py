"""ReplicationControllers: the selector is a plain map."""

from __future__ import annotations

from picluster.api.errors import FieldError, invalid_value, required
from picluster.api.types import Object
from picluster.api.validation import metadata, podspec, workloads
from picluster.api.validation.common import not_negative

Failures = list[FieldError]


def validate(controller: Object) -> Failures:
    failures: Failures = []
    metadata.validate(controller["metadata"], failures, namespaced=True, name=metadata.subdomain)
    _spec(controller, failures)
    return failures


def validate_update(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    if new.get("spec") != old.get("spec"):
        _spec(new, failures)
    return failures


def validate_status(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    fields = ("fullyLabeledReplicas", "readyReplicas", "availableReplicas")
    workloads.counts(new.get("status") or {}, fields, failures)
    return failures


def _spec(controller: Object, failures: Failures) -> None:
    spec = controller.get("spec") or {}
    not_negative(spec, "replicas", "spec", failures)
    not_negative(spec, "minReadySeconds", "spec", failures)
    selector, template = spec.get("selector") or {}, spec.get("template")
    if not selector:
        failures.append(required("spec.selector"))
    if template is None:
        failures.append(required("spec.template"))
        return
    labels = (template.get("metadata") or {}).get("labels") or {}
    if not selector.items() <= labels.items():
        detail = "`selector` does not match template `labels`"
        failures.append(invalid_value("spec.template.metadata.labels", labels, detail))
    podspec.template(template, "spec.template", failures)
    workloads.runs_for_ever(template, "ReplicationController", failures)
