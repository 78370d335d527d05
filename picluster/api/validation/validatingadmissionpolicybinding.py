"""ValidatingAdmissionPolicyBindings. Source: ``pkg/apis/admissionregistration/validation``."""

from __future__ import annotations

from picluster.api.errors import FieldError, duplicate, invalid_value, not_supported, required
from picluster.api.types import Object
from picluster.api.validation import policies

Failures = list[FieldError]

ACTIONS = ("Audit", "Deny", "Warn")


def validate(binding: Object) -> Failures:
    return policies.create(binding, _contents)


def validate_update(new: Object, old: Object) -> Failures:
    return policies.update(new, old, _contents)


def _contents(binding: Object, failures: Failures) -> None:
    spec, path = binding.get("spec") or {}, "spec.validationActions"
    policies.binding_spec(spec, failures)
    actions = spec.get("validationActions") or []
    for index, action in enumerate(actions):
        if action not in ACTIONS:
            failures.append(not_supported(f"{path}[{index}]", action, ACTIONS))
        if action in actions[:index]:
            failures.append(duplicate(f"{path}[{index}]", action))
    if {"Deny", "Warn"} <= set(actions):
        detail = (
            "must not contain both Deny and Warn (repeating the same validation failure information in the API response"
            " and headers serves no purpose)"
        )
        failures.append(invalid_value(path, actions, detail))
    if not actions:
        failures.append(required(path, "at least one validation action is required"))
