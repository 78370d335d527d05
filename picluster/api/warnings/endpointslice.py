"""EndpointSlices: names as addresses, and addresses that are not written as they should be."""

from __future__ import annotations

from picluster.api.types import Object
from picluster.api.warnings import addresses

MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
CONTROLLERS = ("endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io")


def create(endpoint_slice: Object) -> list[str]:
    names = endpoint_slice.get("addressType") == "FQDN"
    found = ["spec.addressType: FQDN endpoints are deprecated"] if names else []
    return found + _addresses(endpoint_slice)


def update(new: Object, old: Object) -> list[str]:
    return _addresses(new)


def _addresses(endpoint_slice: Object) -> list[str]:
    found: list[str] = []
    if (endpoint_slice["metadata"].get("labels") or {}).get(MANAGED_BY) in CONTROLLERS:
        return found
    for index, endpoint in enumerate(endpoint_slice.get("endpoints") or ()):
        for number, address in enumerate(endpoint.get("addresses") or ()):
            found += addresses.of_ip(f"endpoints[{index}].addresses[{number}]", address)
    return found
