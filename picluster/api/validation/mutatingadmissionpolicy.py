"""MutatingAdmissionPolicies. Source: ``pkg/apis/admissionregistration/validation``."""

from __future__ import annotations

from picluster.api.errors import FieldError, invalid_value, required
from picluster.api.types import Object
from picluster.api.validation import expressions, policies

Failures = list[FieldError]

REINVOCATION_POLICIES = ("IfNeeded", "Never")
PATCHES = {"ApplyConfiguration": "applyConfiguration", "JSONPatch": "jsonPatch"}
"""The field that each type of patch is said in."""


def validate(policy: Object) -> Failures:
    return policies.create(policy, _contents)


def validate_update(new: Object, old: Object) -> Failures:
    return policies.update(new, old, _contents)


def _contents(policy: Object, failures: Failures) -> None:
    spec = policy.get("spec") or {}
    policies.common_spec(spec, failures)
    expressions.mutating_policy(spec, failures)
    mutations = spec.get("mutations") or []
    if not mutations:
        failures.append(required("spec.mutations", "mutations must contain at least one item"))
    for index, mutation in enumerate(mutations):
        _mutation(mutation, f"spec.mutations[{index}]", failures)
    policies.choice_or_required(spec, "reinvocationPolicy", REINVOCATION_POLICIES, "spec", failures)


def _mutation(mutation: Object, path: str, failures: Failures) -> None:
    policies.choice_or_required(mutation, "patchType", tuple(PATCHES), path, failures)
    kind = mutation.get("patchType")
    if kind not in PATCHES:
        return
    for other, field in PATCHES.items():
        patch, where = mutation.get(field), f"{path}.{field}"
        if other != kind:
            if patch is not None:
                detail = f"must not be specified when patchType is {kind}"
                failures.append(invalid_value(where, f"{{{field}}}", detail))
        elif patch is None:
            failures.append(required(where, f"must be specified when patchType is {kind}"))
        elif not (patch.get("expression") or "").strip():
            failures.append(required(f"{where}.expression", "expression is not specified"))
