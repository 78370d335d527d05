"""What Services and EndpointSlices mean for one node's packets. PURE.

The choice among endpoints follows KEP-1669 (terminating endpoints) and the traffic policies: ready ones; when there
are none, those that still serve while they terminate; with policy ``Local`` only this node's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from picluster.api.types import Object

SERVICE_NAME_LABEL = "kubernetes.io/service-name"
PROXY_NAME_LABEL = "service.kubernetes.io/service-proxy-name"
DEFAULT_AFFINITY_S = 10800


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    ip: str
    port: int
    local: bool


@dataclass(frozen=True, slots=True)
class ServicePort:
    """One port of one Service, with the endpoints that cluster and external traffic may reach from this node."""

    name: str
    """``namespace/service:port-name``: what the chain is named after."""
    protocol: str
    port: int
    addresses: tuple[str, ...]
    node_port: int
    cluster_endpoints: tuple[Endpoint, ...]
    external_endpoints: tuple[Endpoint, ...]
    external_local: bool
    affinity_s: int


def service_ports(services: Iterable[Object], slices: Iterable[Object], node_name: str) -> list[ServicePort]:
    """Every port of every Service that has a cluster IP, sorted by name."""
    by_service: dict[str, list[Object]] = {}
    for piece in slices:
        metadata = piece["metadata"]
        service = (metadata.get("labels") or {}).get(SERVICE_NAME_LABEL)
        if service and piece.get("addressType") == "IPv4":
            by_service.setdefault(f"{metadata['namespace']}/{service}", []).append(piece)
    ports = [
        port
        for service in services
        if _is_proxied(service)
        for port in _ports_of(service, by_service.get(_key(service), []), node_name)
    ]
    return sorted(ports, key=lambda port: port.name)


def _key(service: Object) -> str:
    return f"{service['metadata']['namespace']}/{service['metadata']['name']}"


def _is_proxied(service: Object) -> bool:
    spec = service["spec"]
    if spec.get("type") == "ExternalName" or PROXY_NAME_LABEL in (service["metadata"].get("labels") or {}):
        return False
    return spec.get("clusterIP") not in (None, "", "None") and ":" not in spec["clusterIP"]


def _ports_of(service: Object, slices: list[Object], node_name: str) -> Iterable[ServicePort]:
    spec = service["spec"]
    affinity_s = 0
    if spec.get("sessionAffinity") == "ClientIP":
        config = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
        affinity_s = int(config.get("timeoutSeconds") or DEFAULT_AFFINITY_S)
    external_local = spec.get("externalTrafficPolicy") == "Local"
    ingress = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
    addresses = (
        *(ip for ip in spec.get("clusterIPs") or [spec["clusterIP"]] if ":" not in ip),
        *(ip for ip in spec.get("externalIPs") or [] if ":" not in ip),
        *(entry["ip"] for entry in ingress if ":" not in entry.get("ip", ":")),
    )
    for port in spec.get("ports") or []:
        protocol = port.get("protocol", "TCP")
        everywhere = _endpoints(slices, port.get("name") or "", protocol, node_name)
        local = _usable([candidate for candidate in everywhere if candidate[0].local])
        anywhere = _usable(everywhere)
        yield ServicePort(
            name=f"{_key(service)}:{port.get('name') or port['port']}",
            protocol=protocol.lower(),
            port=int(port["port"]),
            addresses=addresses,
            node_port=int(port.get("nodePort") or 0),
            cluster_endpoints=local if spec.get("internalTrafficPolicy") == "Local" else anywhere,
            external_endpoints=local if external_local else anywhere,
            external_local=external_local,
            affinity_s=affinity_s,
        )


_Candidate = tuple[Endpoint, bool, bool]


def _endpoints(slices: list[Object], port_name: str, protocol: str, node_name: str) -> list[_Candidate]:
    found: list[_Candidate] = []
    for piece in slices:
        for port in piece.get("ports") or []:
            if (port.get("name") or "") != port_name or port.get("protocol", "TCP") != protocol or not port.get("port"):
                continue
            for endpoint in piece.get("endpoints") or []:
                conditions = endpoint.get("conditions") or {}
                ready = conditions.get("ready") is not False
                serving = conditions.get("serving", ready) is not False
                local = endpoint.get("nodeName") == node_name
                found += [(Endpoint(ip, int(port["port"]), local), ready, serving) for ip in endpoint["addresses"]]
    return found


def _usable(candidates: list[_Candidate]) -> tuple[Endpoint, ...]:
    ready = {endpoint for endpoint, is_ready, _ in candidates if is_ready}
    return tuple(sorted(ready or {endpoint for endpoint, _, serving in candidates if serving}))
