"""NamespaceLifecycle: nothing is made in a namespace that is not there or on its way out; some may not be deleted."""

from __future__ import annotations

import orjson

from picluster.api import errors
from picluster.api.resources import NAMESPACES, Resource
from picluster.apiserver.admission.chain import CREATE, DELETE, Attributes, Basis
from picluster.apiserver.cache.watchcache import WatchCache

IMMORTAL = frozenset({"default", "kube-system", "kube-public"})
TERMINATING_MARK = b'"deletionTimestamp":'


class NamespaceLifecycle:
    name = "NamespaceLifecycle"
    basis = Basis(relies_on=(NAMESPACES,))

    def __init__(self, cache: WatchCache) -> None:
        self._cache = cache

    def concerns(self, resource: Resource, subresource: str, operation: str) -> bool:
        return operation == DELETE if resource is NAMESPACES else resource.namespaced and operation != DELETE

    async def admit(self, attributes: Attributes) -> None:
        if attributes.resource is NAMESPACES:
            if attributes.name in IMMORTAL:
                raise errors.forbidden("", "namespaces", attributes.name, "this namespace may not be deleted")
            return
        namespace = self._cache.get(NAMESPACES, "", attributes.namespace)
        if namespace is None:
            raise errors.not_found("", "namespaces", attributes.namespace)
        if attributes.operation == CREATE and not attributes.subresource and _terminating(namespace.wire):
            raise _terminating_refusal(attributes)


def _terminating(wire: bytes) -> bool:
    return TERMINATING_MARK in wire and "deletionTimestamp" in orjson.loads(wire)["metadata"]


def _terminating_refusal(attributes: Attributes) -> errors.ApiError:
    why = f"unable to create new content in namespace {attributes.namespace} because it is being terminated"
    refusal = errors.forbidden(attributes.resource.group, attributes.resource.plural, attributes.name, why)
    cause = {
        "reason": "NamespaceTerminating",
        "message": f"namespace {attributes.namespace} is being terminated",
        "field": "metadata.namespace",
    }
    refusal.details = {**(refusal.details or {}), "causes": [cause]}
    return refusal
