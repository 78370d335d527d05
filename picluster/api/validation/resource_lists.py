"""Requests, limits, capacities: names of resources and their amounts."""

from __future__ import annotations

from functools import lru_cache

from picluster.api import names
from picluster.api.errors import FieldError, forbidden_field, invalid_value, not_found_value, not_supported, required
from picluster.api.quantity import nanos
from picluster.api.types import Object
from picluster.api.validation.common import NOT_NEGATIVE

Failures = list[FieldError]

_NANO = 10**9
_CONTAINER_RESOURCES = frozenset({"cpu", "memory", "ephemeral-storage"})
_STANDARD = _CONTAINER_RESOURCES | {
    "requests.cpu", "requests.memory", "requests.ephemeral-storage", "limits.cpu", "limits.memory",
    "limits.ephemeral-storage", "pods", "resourcequotas", "services", "replicationcontrollers", "secrets", "configmaps",
    "persistentvolumeclaims", "storage", "requests.storage", "services.nodeports", "services.loadbalancers",
}  # fmt: skip
_WHOLE_NUMBERS = frozenset({
    "pods", "resourcequotas", "services", "replicationcontrollers", "secrets", "configmaps", "persistentvolumeclaims",
    "services.nodeports", "services.loadbalancers",
})  # fmt: skip
_HUGE_PAGES = ("hugepages-", "requests.hugepages-")
_POD_LEVEL = ("cpu", "hugepages-*", "memory")


def requirements(
    resources: Object, path: str, failures: Failures, *, pod_level: bool = False, claims: frozenset[str] = frozenset()
) -> None:
    """``resources`` of a container, or of a whole pod; ``claims`` are the names of the pod's resource claims."""
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for name, amount in limits.items():
        for failure in _objections(name, amount, pod_level):
            failures.append(FieldError(failure.reason, f"{path}.limits[{name}]", failure.message))
    for name, amount in requests.items():
        for failure in _objections(name, amount, pod_level):
            failures.append(FieldError(failure.reason, f"{path}.requests[{name}]", failure.message))
        _against_limit(name, amount, limits, path, failures)
    if not ("cpu" in requests or "memory" in requests or "cpu" in limits or "memory" in limits) and any(
        name.startswith("hugepages-") for name in (*limits, *requests)
    ):
        failures.append(forbidden_field(path, "HugePages require cpu or memory"))
    for index, claim in enumerate(resources.get("claims") or ()):
        if not claim.get("name"):
            failures.append(required(f"{path}.claims[{index}]"))
        elif claim["name"] not in claims:
            failures.append(not_found_value(f"{path}.claims[{index}]", claim["name"]))


def quantity_value(name: str, amount: str, path: str, failures: Failures) -> None:
    """An amount is not negative, and whole for what cannot be divided."""
    value = nanos(amount)
    if value < 0:
        failures.append(invalid_value(path, amount, NOT_NEGATIVE))
    if value % _NANO and (name in _WHOLE_NUMBERS or is_extended(name)):
        failures.append(invalid_value(path, amount, "must be an integer"))


@lru_cache(maxsize=4096)
def is_native(name: str) -> bool:
    return "/" not in name or "kubernetes.io/" in name


@lru_cache(maxsize=4096)
def is_extended(name: str) -> bool:
    return not is_native(name) and not name.startswith("requests.") and not names.qualified_name(f"requests.{name}")


@lru_cache(maxsize=16384)
def _objections(name: str, amount: str, pod_level: bool) -> tuple[FieldError, ...]:
    """What is wrong with one entry, without its path."""
    failures: Failures = []
    _name(name, "", pod_level, failures)
    quantity_value(name, amount, "", failures)
    return tuple(failures)


def name(value: str, path: str, failures: Failures) -> bool:
    """A resource is a standard one, or called by a qualified name; whether it is called by a good name at all."""
    messages = names.qualified_name(value)
    if messages:
        failures.extend(invalid_value(path, value, message) for message in messages)
        return False
    if "/" not in value and value not in _STANDARD and not value.startswith(_HUGE_PAGES):
        failures.append(invalid_value(path, value, "must be a standard resource type or fully qualified"))
    return True


def container_name(value: str, path: str, failures: Failures) -> None:
    """A resource that a container can ask for."""
    _name(value, path, False, failures)


def may_overcommit(name: str) -> bool:
    """Whether limits may be above requests."""
    return name in _CONTAINER_RESOURCES or (is_native(name) and not name.startswith("hugepages-"))


def _name(value: str, path: str, pod_level: bool, failures: Failures) -> None:
    if not name(value, path, failures):
        return
    _fits(value, path, pod_level, failures)


def _fits(name: str, path: str, pod_level: bool, failures: Failures) -> None:
    huge = name.startswith("hugepages-")
    if "/" not in name:
        if pod_level:
            if name not in ("cpu", "memory") and not huge:
                failures.append(not_supported(path, name, _POD_LEVEL))
        elif name not in _CONTAINER_RESOURCES and not huge:
            failures.append(invalid_value(path, name, "must be a standard resource for containers"))
    elif pod_level:
        failures.append(not_supported(path, name, _POD_LEVEL))
    elif not is_native(name) and not is_extended(name):
        failures.append(invalid_value(path, name, "doesn't follow extended resource name standard"))


def _against_limit(name: str, amount: str, limits: Object, path: str, failures: Failures) -> None:
    overcommit = may_overcommit(name)
    limit = limits.get(name)
    if limit is None:
        if not overcommit:
            failures.append(required(f"{path}.limits", "Limit must be set for non overcommitable resources"))
    elif amount != limit:
        if not overcommit and nanos(amount) != nanos(limit):
            failures.append(invalid_value(f"{path}.requests", amount, f"must be equal to {name} limit of {limit}"))
        elif nanos(amount) > nanos(limit):
            detail = f"must be less than or equal to {name} limit of {limit}"
            failures.append(invalid_value(f"{path}.requests", amount, detail))
