"""Services: fields that do nothing where they are, addresses, and what is deprecated (``pkg/api/service``)."""

from __future__ import annotations

from collections.abc import Iterator

from picluster.api.types import Object
from picluster.api.warnings import addresses

HINTS, MODE = "service.kubernetes.io/topology-aware-hints", "service.kubernetes.io/topology-mode"
EXTERNAL = "ExternalName"


def create(service: Object) -> list[str]:
    spec = service["spec"]
    found = []
    if HINTS in (service["metadata"].get("annotations") or {}):
        found.append(f"annotation {HINTS} is deprecated, please use {MODE} instead")
    headless = spec.get("clusterIP") == "None" and spec.get("type") == "ClusterIP"
    if spec.get("clusterIP") not in (None, "", "None"):
        for index, address in enumerate(spec.get("clusterIPs") or ()):
            found += addresses.of_ip(f"spec.clusterIPs[{index}]", address)
    if headless:
        found += _ignored_without_address(spec)
    return [*found, *_outside(spec, headless=headless), *_external(spec)]


def update(new: Object, old: Object) -> list[str]:
    return create(new)


def update_status(new: Object, old: Object) -> list[str]:
    """``serviceStatusStrategy``."""
    ingresses = ((new.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    found: list[str] = []
    for index, ingress in enumerate(ingresses):
        if ingress.get("ip"):
            found += addresses.of_ip(f"status.loadBalancer.ingress[{index}]", ingress["ip"])
    return found


def _ignored_without_address(spec: Object) -> Iterator[str]:
    if spec.get("loadBalancerIP"):
        yield "spec.loadBalancerIP is ignored for headless services"
    if spec.get("externalIPs"):
        yield "spec.externalIPs is ignored for headless services"
    if spec.get("sessionAffinity") != "None":
        yield "spec.SessionAffinity is ignored for headless services"


def _outside(spec: Object, *, headless: bool) -> Iterator[str]:
    """Addresses of the world outside."""
    outer = spec.get("externalIPs") or ()
    for index, address in enumerate(outer):
        yield from addresses.of_ip(f"spec.externalIPs[{index}]", address)
    if outer and not headless and spec.get("type") != EXTERNAL:
        yield "spec.externalIPs is deprecated and may no longer be implemented in some clusters"
    if spec.get("loadBalancerIP"):
        yield from addresses.of_ip("spec.loadBalancerIP", spec["loadBalancerIP"])
    for index, network in enumerate(spec.get("loadBalancerSourceRanges") or ()):
        yield from addresses.of_cidr(f"spec.loadBalancerSourceRanges[{index}]", network)


def _external(spec: Object) -> Iterator[str]:
    if spec.get("type") == EXTERNAL and spec.get("externalIPs"):
        yield f'spec.externalIPs is ignored when spec.type is "{EXTERNAL}"'
    if spec.get("type") != EXTERNAL and spec.get("externalName"):
        yield f'spec.externalName is ignored when spec.type is not "{EXTERNAL}"'
    if spec.get("trafficDistribution") == "PreferClose":
        yield 'spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"'
