"""ResourceQuotas. Source: ``ValidateResourceQuota`` in ``pkg/apis/core/validation``."""

from __future__ import annotations

from collections.abc import Iterable

from picluster.api.errors import FieldError, invalid_value, required
from picluster.api.types import Object
from picluster.api.validation import metadata, resource_lists

Failures = list[FieldError]

_COMPUTE = frozenset({"cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory"})
_STANDARD = _COMPUTE | {
    "ephemeral-storage", "requests.storage", "requests.ephemeral-storage", "limits.ephemeral-storage", "pods",
    "resourcequotas", "services", "replicationcontrollers", "secrets", "persistentvolumeclaims", "configmaps",
    "services.nodeports", "services.loadbalancers",
}  # fmt: skip
_OF_PODS = _COMPUTE | {"pods"}
_OF_SCOPE = {
    "Terminating": _OF_PODS,
    "NotTerminating": _OF_PODS,
    "NotBestEffort": _OF_PODS,
    "PriorityClass": _OF_PODS,
    "CrossNamespacePodAffinity": _OF_PODS,
    "BestEffort": frozenset({"pods"}),
    "VolumeAttributesClass": frozenset({"persistentvolumeclaims", "requests.storage"}),
}
_ONLY_EXISTS = frozenset({"BestEffort", "NotBestEffort", "Terminating", "NotTerminating", "CrossNamespacePodAffinity"})
_CONFLICTS = ({"BestEffort", "NotBestEffort"}, {"Terminating", "NotTerminating"})


def validate(quota: Object) -> Failures:
    failures: Failures = []
    metadata.validate(quota["metadata"], failures, namespaced=True, name=metadata.subdomain)
    _spec(quota.get("spec") or {}, failures)
    _amounts(quota.get("status") or {}, "status", failures)
    return failures


def validate_update(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    spec, old_spec = new.get("spec") or {}, old.get("spec") or {}
    _spec(spec, failures)
    if set(spec.get("scopes") or ()) != set(old_spec.get("scopes") or ()):
        failures.append(invalid_value("spec.scopes", spec.get("scopes"), metadata.IMMUTABLE))
    return failures


def validate_status(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    _amounts(new.get("status") or {}, "status", failures)
    return failures


def _spec(spec: Object, failures: Failures) -> None:
    _amounts(spec, "spec", failures)
    hard = spec.get("hard") or {}
    scopes = spec.get("scopes") or []
    for scope in scopes:
        _scope(scope, "spec.scopes", failures, value=scopes)
        _applies(scope, hard, "spec.scopes", scopes, failures)
    _conflicts(scopes, "spec.scopes", spec, failures)
    if (selector := spec.get("scopeSelector")) is not None:
        _selector(selector, spec, "spec.scopeSelector.matchExpressions", failures)


def _amounts(part: Object, path: str, failures: Failures) -> None:
    for side in ("hard", "used"):
        for name, amount in (part.get(side) or {}).items():
            where = f"{path}.{side}[{name}]"
            if resource_lists.name(name, where, failures) and "/" not in name and not _is_standard(name):
                failures.append(invalid_value(where, name, "must be a standard resource for quota"))
            resource_lists.quantity_value(name, amount, where, failures)


def _is_standard(name: str) -> bool:
    return name in _STANDARD or name.startswith(("hugepages-", "requests.hugepages-"))


def _scope(scope: str, path: str, failures: Failures, *, value: object) -> None:
    if scope not in _OF_SCOPE:
        failures.append(invalid_value(path, value, "unsupported scope"))


def _applies(scope: str, hard: Iterable[str], path: str, value: object, failures: Failures) -> None:
    """Whether what is limited can be counted by that scope."""
    counted = _OF_SCOPE.get(scope)
    for name in hard:
        if counted is not None and _is_standard(name) and name not in counted:
            failures.append(invalid_value(path, value, "unsupported scope applied to resource"))


def _conflicts(scopes: Iterable[str], path: str, spec: Object, failures: Failures) -> None:
    for pair in _CONFLICTS:
        if pair <= set(scopes):
            failures.append(invalid_value(path, spec.get("scopes"), "conflicting scopes"))


def _selector(selector: Object, spec: Object, path: str, failures: Failures) -> None:
    expressions = selector.get("matchExpressions") or []
    for expression in expressions:
        scope, operator, values = (expression.get(field) for field in ("scopeName", "operator", "values"))
        _scope(scope or "", f"{path}.scopeName", failures, value=scope)
        _applies(scope or "", spec.get("hard") or {}, path, selector, failures)
        if scope in _ONLY_EXISTS and operator != "Exists":
            detail = (
                "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating,"
                " ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or"
                " ResourceQuotaScopeCrossNamespacePodAffinity"
            )
            failures.append(invalid_value(f"{path}.operator", operator, detail))
        if operator in ("In", "NotIn"):
            if not values:
                detail = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
                failures.append(required(f"{path}.values", detail))
        elif operator in ("Exists", "DoesNotExist"):
            if values:
                detail = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
                failures.append(invalid_value(f"{path}.values", values, detail))
        else:
            failures.append(invalid_value(f"{path}.operator", operator, "not a valid selector operator"))
    _conflicts([expression.get("scopeName", "") for expression in expressions], path, spec, failures)
