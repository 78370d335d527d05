"""MutatingAdmissionPolicyBindings. Source: ``pkg/apis/admissionregistration/validation``."""

from __future__ import annotations

from picluster.api.errors import FieldError
from picluster.api.types import Object
from picluster.api.validation import policies

Failures = list[FieldError]


def validate(binding: Object) -> Failures:
    return policies.create(binding, _contents)


def validate_update(new: Object, old: Object) -> Failures:
    return policies.update(new, old, _contents)


def _contents(binding: Object, failures: Failures) -> None:
    policies.binding_spec(binding.get("spec") or {}, failures)
