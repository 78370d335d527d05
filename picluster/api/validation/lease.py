"""Leases."""

from __future__ import annotations

from picluster.api.errors import FieldError, invalid_value
from picluster.api.types import Object
from picluster.api.validation import metadata
from picluster.api.validation.common import not_negative

Failures = list[FieldError]


def validate(lease: Object) -> Failures:
    failures: Failures = []
    metadata.validate(lease["metadata"], failures, namespaced=True, name=metadata.subdomain)
    _spec(lease, failures)
    return failures


def validate_update(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    _spec(new, failures)
    return failures


def _spec(lease: Object, failures: Failures) -> None:
    spec = lease.get("spec") or {}
    duration_s = spec.get("leaseDurationSeconds")
    if duration_s is not None and duration_s <= 0:
        failures.append(invalid_value("spec.leaseDurationSeconds", duration_s, "must be greater than 0"))
    not_negative(spec, "leaseTransitions", "spec", failures)
