"""Services begin without an ingress; an update keeps what was allocated, a change of type drops what only the old had.

Sources: ``patchAllocatedValues``, ``normalizeClusterIPs`` and ``dropTypeDependentFields`` in
``pkg/registry/core/service``. A field of the old type goes when the client left it as it was, so that
``{"spec": {"type": "ClusterIP"}}`` is a whole patch; one that the client has changed stays, and is validated.
"""

from __future__ import annotations

from picluster.api.types import Object


def create(service: Object, now: str) -> None:
    service["status"] = {"loadBalancer": {}}


def update(new: Object, old: Object) -> None:
    spec, old_spec = new.get("spec") or {}, old.get("spec") or {}
    inherit(spec, old_spec)
    normalize(spec, old_spec)
    _drop_of_old_type(spec, old_spec)
    if old_spec.get("type") == "LoadBalancer" != spec.get("type"):
        new["status"] = {**(new.get("status") or {}), "loadBalancer": {}}


def normalize(spec: Object, old: Object | None = None) -> None:
    """Keep ``clusterIP`` and ``clusterIPs`` alike when a client knows only the older one."""
    address, addresses = spec.get("clusterIP") or "", spec.get("clusterIPs") or []
    if old is None:
        if address and not addresses:
            spec["clusterIPs"] = [address]
        return
    old_address, old_addresses = old.get("clusterIP") or "", old.get("clusterIPs") or []
    if address == old_address:
        if old_addresses and not addresses:
            spec["clusterIPs"] = list(old_addresses)
    elif addresses == old_addresses:
        spec.pop("clusterIPs", None)
        if address:
            spec["clusterIPs"] = [address]


def inherit(spec: Object, old: Object) -> None:
    """Fill what an update leaves out of what was allocated with what the service has."""
    if "ExternalName" not in (spec.get("type"), old.get("type")):
        for field in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            if not spec.get(field) and old.get(field):
                spec[field] = old[field]
    if _external(spec) and _external(old):
        _inherit_node_ports(spec.get("ports") or [], old.get("ports") or [])
    if health_checked(spec) and health_checked(old) and not spec.get("healthCheckNodePort"):
        spec["healthCheckNodePort"] = old.get("healthCheckNodePort", 0)


def health_checked(spec: Object) -> bool:
    """Whether nodes answer on a port of their own whether they have an endpoint of the service."""
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def _inherit_node_ports(ports: list[Object], old: list[Object]) -> None:
    """Ports are known by their names; a number that another port has taken over stays with that."""
    known = {port.get("name") or "": port.get("nodePort") for port in old}
    used = _numbers(ports) & _numbers(old)
    for port in ports:
        number = known.get(port.get("name") or "")
        if not port.get("nodePort") and number and number not in used:
            port["nodePort"] = number


def _drop_of_old_type(spec: Object, old: Object) -> None:
    kind, old_kind = spec.get("type"), old.get("type")
    if kind == "ExternalName" != old_kind:
        _drop_unchanged(spec, old, "clusterIP", "clusterIPs")
        _drop_unchanged(spec, old, "ipFamilies")
        _drop_unchanged(spec, old, "ipFamilyPolicy")
    if _external(old) and not _external(spec) and _numbers(spec.get("ports")) <= _numbers(old.get("ports")):
        for port in spec.get("ports") or ():
            port.pop("nodePort", None)
    if health_checked(old) and not health_checked(spec):
        _drop_unchanged(spec, old, "healthCheckNodePort")
    if old_kind == "LoadBalancer" != kind:
        _drop_unchanged(spec, old, "allocateLoadBalancerNodePorts")
        _drop_unchanged(spec, old, "loadBalancerClass")
    if _reached_from_outside(old) and not _reached_from_outside(spec):
        _drop_unchanged(spec, old, "externalTrafficPolicy")


def _drop_unchanged(spec: Object, old: Object, *fields: str) -> None:
    """Drop ``fields`` together, unless one of them has been changed."""
    if all(spec.get(field) == old.get(field) for field in fields):
        for field in fields:
            spec.pop(field, None)


def _external(spec: Object) -> bool:
    return spec.get("type") in ("NodePort", "LoadBalancer")


def _reached_from_outside(spec: Object) -> bool:
    return _external(spec) or (spec.get("type") == "ClusterIP" and bool(spec.get("externalIPs")))


def _numbers(ports: list[Object] | None) -> set[int]:
    return {port["nodePort"] for port in ports or () if port.get("nodePort")}
