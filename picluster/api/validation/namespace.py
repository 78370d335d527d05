"""Namespaces."""

from __future__ import annotations

from picluster.api import names
from picluster.api.errors import FieldError, invalid_value
from picluster.api.types import Object
from picluster.api.validation import metadata
from picluster.api.validation.common import named

Failures = list[FieldError]


def validate(namespace: Object) -> Failures:
    failures: Failures = []
    metadata.validate(namespace["metadata"], failures, namespaced=False, name=metadata.label)
    _finalizers(namespace, failures)
    return failures


def validate_update(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    return failures


def validate_status(new: Object, old: Object) -> Failures:
    failures = validate_update(new, old)
    phase = (new.get("status") or {}).get("phase", "")
    if not new["metadata"].get("deletionTimestamp"):
        if phase != "Active":
            detail = "may only be 'Active' if `deletionTimestamp` is empty"
            failures.append(invalid_value("status.Phase", phase, detail))
    elif phase != "Terminating":
        detail = "may only be 'Terminating' if `deletionTimestamp` is not empty"
        failures.append(invalid_value("status.Phase", phase, detail))
    return failures


def validate_finalize(new: Object, old: Object) -> Failures:
    failures = validate_update(new, old)
    _finalizers(new, failures)
    return failures


def _finalizers(namespace: Object, failures: Failures) -> None:
    for index, finalizer in enumerate((namespace.get("spec") or {}).get("finalizers") or ()):
        named(names.qualified_name(finalizer), f"spec.finalizers[{index}]", finalizer, failures)
