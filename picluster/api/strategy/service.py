"""Services begin without an ingress; a change of type drops what only the old type had.

Source: ``dropTypeDependentFields`` in ``pkg/registry/core/service``: a field goes when the client left it as it was, so
that ``{"spec": {"type": "ClusterIP"}}`` is a whole patch; one that the client has changed stays, and is validated.
"""

from __future__ import annotations

from picluster.api.types import Object


def create(service: Object, now: str) -> None:
    service["status"] = {"loadBalancer": {}}


def update(new: Object, old: Object) -> None:
    spec, old_spec = new.get("spec") or {}, old.get("spec") or {}
    kind, old_kind = spec.get("type"), old_spec.get("type")
    if kind == old_kind and not _health_checked(old_spec):
        return
    if kind == "ExternalName" != old_kind:
        _drop_unchanged(spec, old_spec, "clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy")
        _drop_unchanged(spec, old_spec, "internalTrafficPolicy")
    if _external(old_kind) and not _external(kind):
        _drop_unchanged(spec, old_spec, "externalTrafficPolicy")
        if _node_ports(spec) == _node_ports(old_spec):
            for port in spec.get("ports") or ():
                port.pop("nodePort", None)
    if _health_checked(old_spec) and not _health_checked(spec):
        _drop_unchanged(spec, old_spec, "healthCheckNodePort")
    if old_kind == "LoadBalancer" != kind:
        _drop_unchanged(spec, old_spec, "allocateLoadBalancerNodePorts", "loadBalancerClass")


def _drop_unchanged(spec: Object, old_spec: Object, *fields: str) -> None:
    """Drop ``fields`` together, unless one of them has been changed."""
    if all(spec.get(field) == old_spec.get(field) for field in fields):
        for field in fields:
            spec.pop(field, None)


def _external(kind: object) -> bool:
    return kind in ("NodePort", "LoadBalancer")


def _health_checked(spec: Object) -> bool:
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def _node_ports(spec: Object) -> list[tuple[object, object]]:
    return [(port.get("port"), port.get("nodePort")) for port in spec.get("ports") or ()]
