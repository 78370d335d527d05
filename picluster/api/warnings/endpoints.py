"""Endpoints: addresses that are not written as they should be, unless the controller wrote them."""

from __future__ import annotations

from picluster.api.types import Object
from picluster.api.warnings import addresses

MANAGED_BY, CONTROLLER = "endpoints.kubernetes.io/managed-by", "endpoint-controller"


def create(endpoints: Object) -> list[str]:
    found: list[str] = []
    if (endpoints["metadata"].get("labels") or {}).get(MANAGED_BY) == CONTROLLER:
        return found
    for index, subset in enumerate(endpoints.get("subsets") or ()):
        for field in ("addresses", "notReadyAddresses"):
            for number, address in enumerate(subset.get(field) or ()):
                found += addresses.of_ip(f"subsets[{index}].{field}[{number}].ip", address.get("ip") or "")
    return found


def update(new: Object, old: Object) -> list[str]:
    return create(new)
