"""Is there a way from an object to a node? Answered from the watch cache, without a graph of its own to keep up.

The pods of a node are indexed already; of these only the ones whose bytes hold the object's name are read.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from picluster.api.resources import (
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    PODS,
    RESOURCE_SLICES,
    SECRETS,
    VOLUME_ATTACHMENTS,
    Resource,
)
from picluster.apiserver.authz.references import bound_claim, references, volume_secrets
from picluster.apiserver.cache.index import Entry
from picluster.apiserver.cache.watchcache import WatchCache


class _NodeNamed(msgspec.Struct, gc=False):
    nodeName: str | None = None  # noqa: N815


class _OfNode(msgspec.Struct, gc=False):
    spec: _NodeNamed


_decode_node_name = msgspec.json.Decoder(_OfNode).decode


class NodeGraph:
    def __init__(self, cache: WatchCache) -> None:
        self._cache = cache

    def reaches(self, node: str, resource: Resource, namespace: str, name: str) -> bool:
        """Whether ``node`` has to do with the object."""
        if resource is PODS:
            pod = self._cache.get(PODS, namespace, name)
            return pod is not None and self._cache.collection(PODS).node_of(pod) == node
        if resource is PERSISTENT_VOLUMES:
            volume = self._cache.get(resource, "", name)
            return volume is not None and self._claimed(node, *bound_claim(volume.wire))
        if resource in (VOLUME_ATTACHMENTS, RESOURCE_SLICES):
            entry = self._cache.get(resource, "", name)
            return entry is not None and _decode_node_name(entry.wire).spec.nodeName == node
        if self._referenced(node, resource, namespace, name):
            return True
        return resource is SECRETS and self._secret_of_volume(node, namespace, name)

    def pods(self, node: str) -> list[Entry]:
        return self._cache.collection(PODS).on_node(node)

    def volumes(self, node: str) -> Iterator[Entry]:
        """The persistent volumes that the node's pods claim."""
        for volume in self._cache.collection(PERSISTENT_VOLUMES).entries.values():
            if self._claimed(node, *bound_claim(volume.wire)):
                yield volume

    def _claimed(self, node: str, namespace: str, name: str) -> bool:
        return bool(name) and self._referenced(node, PERSISTENT_VOLUME_CLAIMS, namespace, name)

    def _referenced(self, node: str, resource: Resource, namespace: str, name: str) -> bool:
        # A generated claim's name begins with the pod's own, so that the bytes of such a pod do not hold it whole.
        mark, claims = f'"{name}"'.encode(), resource is PERSISTENT_VOLUME_CLAIMS
        for pod in self.pods(node):
            if pod.namespace != namespace or not (mark in pod.wire or (claims and name.startswith(pod.name))):
                continue
            if (resource, name) in references(pod.wire):
                return True
        return False

    def _secret_of_volume(self, node: str, namespace: str, name: str) -> bool:
        mark = f'"{name}"'.encode()
        for volume in self._cache.collection(PERSISTENT_VOLUMES).entries.values():
            if mark not in volume.wire or (namespace, name) not in volume_secrets(volume.wire):
                continue
            if self._claimed(node, *bound_claim(volume.wire)):
                return True
        return False
