"""Admission policies of both kinds, and their bindings. Source: ``pkg/apis/admissionregistration/validation``."""

from __future__ import annotations

import re
from collections.abc import Callable

from picluster.api import names
from picluster.api.errors import FieldError, invalid_value, not_supported, required
from picluster.api.types import Object
from picluster.api.validation import admission, metadata
from picluster.api.validation.common import named

Failures = list[FieldError]
Contents = Callable[[Object, Failures], None]

_IDENTIFIER_RE = re.compile("[_a-zA-Z][_a-zA-Z0-9]*")
_RESERVED = frozenset({
    "true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import",
    "let", "loop", "package", "namespace", "return", "var", "void", "while",
})  # fmt: skip


def create(obj: Object, contents: Contents) -> Failures:
    failures: Failures = []
    metadata.validate(obj["metadata"], failures, namespaced=False, name=metadata.subdomain)
    contents(obj, failures)
    return failures


def update(new: Object, old: Object, contents: Contents) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    contents(new, failures)
    return failures


def common_spec(spec: Object, failures: Failures) -> None:
    """What both kinds of policies say of failures, parameters, requests and variables."""
    policy, constraints, kind = (spec.get(field) for field in ("failurePolicy", "matchConstraints", "paramKind"))
    if policy is None:
        failures.append(required("spec.failurePolicy"))
    admission.choice(spec, "failurePolicy", admission.FAILURE_POLICIES, "spec", failures)
    if kind is not None:
        admission.param_kind(kind, "spec.paramKind", failures)
    if constraints is None:
        failures.append(required("spec.matchConstraints"))
    else:
        admission.match_resources(constraints, "spec.matchConstraints", failures)
        if not constraints.get("resourceRules"):
            failures.append(required("spec.matchConstraints.resourceRules"))
    conditions = spec.get("matchConditions")
    admission.match_conditions(conditions, "spec.matchConditions", failures, params=kind is not None)
    for index, variable in enumerate(spec.get("variables") or ()):
        _variable(variable, f"spec.variables[{index}]", failures)


def _variable(variable: Object, path: str, failures: Failures) -> None:
    name = variable.get("name") or ""
    if not name.strip():
        failures.append(required(f"{path}.name", "name is not specified"))
    elif not _IDENTIFIER_RE.fullmatch(name) or name in _RESERVED:
        failures.append(invalid_value(f"{path}.name", name, "name is not a valid CEL identifier"))
    if not (variable.get("expression") or "").strip():
        failures.append(required(f"{path}.expression", "expression is not specified"))


def binding_spec(spec: Object, failures: Failures) -> None:
    name, reference, match = (spec.get(field) for field in ("policyName", "paramRef", "matchResources"))
    if not name:
        failures.append(required("spec.policyName"))
    else:
        named(names.dns1123_subdomain(name), "spec.policyName", name, failures)
    if reference is not None:
        admission.param_ref(reference, "spec.paramRef", failures)
    if match is not None:
        admission.match_resources(match, "spec.matchResouces", failures)  # spelt like this in every Kubernetes


def choice_or_required(obj: Object, field: str, choices: tuple[str, ...], path: str, failures: Failures) -> None:
    value = obj.get(field) or ""
    if not value:
        failures.append(required(f"{path}.{field}"))
    elif value not in choices:
        failures.append(not_supported(f"{path}.{field}", value, choices))
