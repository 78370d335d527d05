"""What objects use of a namespace's quotas, and which quotas count them. PURE.

``usage`` is what one object uses, by the names that ``hard`` of a ResourceQuota may have; ``selects`` is whether a
quota's scopes cover it; ``missing`` is what containers must say before they can be counted. Amounts are nanos
(``quantity.nanos``). Source: ``pkg/quota/v1/evaluator/core`` of Kubernetes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from picluster.api.quantity import NANO
from picluster.api.quota import claims, pods, services, volumes
from picluster.api.quota.amounts import Amounts
from picluster.api.resources import PERSISTENT_VOLUME_CLAIMS, PODS, RESOURCE_CLAIMS, SERVICES, Resource
from picluster.api.types import Object

LEGACY_COUNTS = frozenset({"configmaps", "resourcequotas", "replicationcontrollers", "secrets"})
"""Kinds that may be counted by their plain name, too."""

_USAGE: dict[Resource, Callable[[Object, float], Amounts]] = {
    PODS: pods.usage,
    SERVICES: services.usage,
    PERSISTENT_VOLUME_CLAIMS: volumes.usage,
    RESOURCE_CLAIMS: claims.usage,
}


def usage(resource: Resource, obj: Object, now_s: float) -> Amounts:
    """What ``obj`` uses; ``now_s`` tells whether a pod that is being deleted has had its time."""
    used = {f"count/{resource.id}": NANO}
    if resource.id in LEGACY_COUNTS:
        used[resource.id] = NANO
    if (special := _USAGE.get(resource)) is not None:
        used |= special(obj, now_s)
    return used


def counts_updates(resource: Resource) -> bool:
    """Whether an update can change what an object uses."""
    return resource in (PODS, SERVICES, PERSISTENT_VOLUME_CLAIMS)


def selects(spec: Object, resource: Resource, obj: Object) -> bool:
    """Whether every scope of a ResourceQuota's ``spec`` covers ``obj``; scopes are about pods and claims."""
    wanted = [{"scopeName": scope, "operator": "Exists"} for scope in spec.get("scopes") or ()]
    wanted += (spec.get("scopeSelector") or {}).get("matchExpressions") or ()
    if not wanted:
        return True
    if resource is PODS:
        return all(pods.in_scope(one, obj) for one in wanted)
    if resource is PERSISTENT_VOLUME_CLAIMS:
        return all(volumes.in_scope(one, obj) for one in wanted)
    return False


def missing(resource: Resource, obj: Object, hard: Iterable[str]) -> str:
    """What is to be specified before ``obj`` can be counted against ``hard``: ``cpu for: web,log``, or empty."""
    return pods.missing(obj, hard) if resource is PODS else ""


__all__ = ["Amounts", "counts_updates", "missing", "selects", "usage"]
