"""What a node may do: the node authorizer.

A node reads what every node needs (Services, EndpointSlices, its peers for routes), owns its Node, its Lease and its
pods' status, and reads a Secret or ConfigMap only while a pod bound to it refers to it. What it may write *into* these
objects is the business of ``admission.noderestriction``.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from picluster.api.resources import (
    CONFIGMAPS,
    CORE_EVENTS,
    ENDPOINT_SLICES,
    ENDPOINTS,
    EVENTS,
    LEASES,
    NODES,
    PODS,
    SECRETS,
    SERVICE_ACCOUNTS,
    SERVICES,
    Resource,
)
from picluster.api.selectors import parse_fields
from picluster.apiserver.authn import User
from picluster.apiserver.authz import ALLOWED, NO_OPINION, READ, Decision
from picluster.apiserver.cache.watchcache import WatchCache
from picluster.apiserver.requestinfo import RequestInfo

NODE_LEASES = "kube-node-lease"


class NodeAuthorizer:
    def __init__(self, cache: WatchCache) -> None:
        self._cache = cache

    def decide(self, user: User, request: RequestInfo) -> Decision:
        node, resource = user.node, request.target.resource
        if not node or resource is None:
            return NO_OPINION
        if resource in (SECRETS, CONFIGMAPS, SERVICE_ACCOUNTS):
            return self._referenced(node, resource, request)
        if resource is PODS:
            return self._pods(node, request)
        if resource is NODES:
            return _nodes(node, request)
        if resource is LEASES:
            return _leases(node, request)
        if resource in (SERVICES, ENDPOINTS, ENDPOINT_SLICES):
            return ALLOWED if request.verb in READ else NO_OPINION
        if resource in (CORE_EVENTS, EVENTS):
            return ALLOWED if request.verb in ("create", "patch", "update") else NO_OPINION
        return NO_OPINION

    def _pods(self, node: str, request: RequestInfo) -> Decision:
        subresource, verb = request.target.subresource, request.verb
        if subresource == "status":
            return ALLOWED if verb in ("get", "update", "patch") else NO_OPINION
        if subresource:
            return ALLOWED if subresource == "eviction" and verb == "create" else NO_OPINION
        if verb in ("create", "delete"):
            return ALLOWED
        if verb in ("list", "watch"):
            wanted = parse_fields(PODS, request.query.get("fieldSelector", "")).exact("spec.nodeName")
            if wanted == node:
                return ALLOWED
            return Decision(False, "can only list/watch pods with spec.nodeName field selector")
        if verb == "get":
            pod = self._cache.get(PODS, request.target.namespace, request.target.name)
            if pod is None or self._cache.collection(PODS).node_of(pod) == node:
                return ALLOWED
            return _unrelated(node)
        return NO_OPINION

    def _referenced(self, node: str, resource: Resource, request: RequestInfo) -> Decision:
        namespace, name = request.target.namespace, request.target.name
        token = resource is SERVICE_ACCOUNTS and request.verb == "create" and request.target.subresource == "token"
        if request.verb in ("list", "watch"):
            name = parse_fields(resource, request.query.get("fieldSelector", "")).exact("metadata.name") or ""
        if not token and (request.verb not in READ or not name or request.target.subresource):
            return Decision(False, "can only read namespaced object of this type")
        for pod in self._cache.collection(PODS).on_node(node):
            if pod.namespace == namespace and (resource, name) in references(pod.wire):
                return ALLOWED
        return _unrelated(node)


def _unrelated(node: str) -> Decision:
    return Decision(False, f"no relationship found between node '{node}' and this object")


def _nodes(node: str, request: RequestInfo) -> Decision:
    verb, name = request.verb, request.target.name
    if verb in READ and not request.target.subresource:
        return ALLOWED
    if verb == "create" and not request.target.subresource:
        return ALLOWED
    if verb in ("get", "update", "patch") and name == node:
        return ALLOWED
    return NO_OPINION


def _leases(node: str, request: RequestInfo) -> Decision:
    if request.target.namespace != NODE_LEASES:
        return Decision(False, f'can only access leases in the "{NODE_LEASES}" system namespace')
    if request.verb == "create" or (
        request.verb in ("get", "update", "patch", "delete") and request.target.name == node
    ):
        return ALLOWED
    return Decision(False, "can only access node lease with the same name as the requesting node")


class _Named(msgspec.Struct, gc=False):
    name: str = ""


class _Keyed(msgspec.Struct, gc=False):
    secretKeyRef: _Named | None = None  # noqa: N815
    configMapKeyRef: _Named | None = None  # noqa: N815


class _Variable(msgspec.Struct, gc=False):
    valueFrom: _Keyed | None = None  # noqa: N815


class _Variables(msgspec.Struct, gc=False):
    secretRef: _Named | None = None  # noqa: N815
    configMapRef: _Named | None = None  # noqa: N815


class _Container(msgspec.Struct, gc=False):
    env: list[_Variable] = []
    envFrom: list[_Variables] = []  # noqa: N815


class _SecretVolume(msgspec.Struct, gc=False):
    secretName: str = ""  # noqa: N815


class _Projection(msgspec.Struct, gc=False):
    secret: _Named | None = None
    configMap: _Named | None = None  # noqa: N815


class _Projected(msgspec.Struct, gc=False):
    sources: list[_Projection] = []


class _Volume(msgspec.Struct, gc=False):
    secret: _SecretVolume | None = None
    configMap: _Named | None = None  # noqa: N815
    projected: _Projected | None = None


class _Spec(msgspec.Struct, gc=False):
    containers: list[_Container] = []
    initContainers: list[_Container] = []  # noqa: N815
    volumes: list[_Volume] = []
    imagePullSecrets: list[_Named] = []  # noqa: N815
    serviceAccountName: str = ""  # noqa: N815


class _Pod(msgspec.Struct, gc=False):
    spec: _Spec


_decode_pod = msgspec.json.Decoder(_Pod).decode


def references(pod_wire: bytes) -> set[tuple[Resource, str]]:
    """What a pod's node has to read in the pod's namespace to run it."""
    spec = _decode_pod(pod_wire).spec
    found = {(SECRETS, each.name) for each in spec.imagePullSecrets}
    found.add((SERVICE_ACCOUNTS, spec.serviceAccountName))
    for container in (*spec.containers, *spec.initContainers):
        found.update(_of_environment(container))
    for volume in spec.volumes:
        found.update(_of_volume(volume))
    return found


def _of_environment(container: _Container) -> Iterator[tuple[Resource, str]]:
    for variable in container.env:
        if (source := variable.valueFrom) is not None:
            if source.secretKeyRef is not None:
                yield SECRETS, source.secretKeyRef.name
            if source.configMapKeyRef is not None:
                yield CONFIGMAPS, source.configMapKeyRef.name
    for several in container.envFrom:
        if several.secretRef is not None:
            yield SECRETS, several.secretRef.name
        if several.configMapRef is not None:
            yield CONFIGMAPS, several.configMapRef.name


def _of_volume(volume: _Volume) -> Iterator[tuple[Resource, str]]:
    if volume.secret is not None:
        yield SECRETS, volume.secret.secretName
    if volume.configMap is not None:
        yield CONFIGMAPS, volume.configMap.name
    for projection in volume.projected.sources if volume.projected is not None else ():
        if projection.secret is not None:
            yield SECRETS, projection.secret.name
        if projection.configMap is not None:
            yield CONFIGMAPS, projection.configMap.name
