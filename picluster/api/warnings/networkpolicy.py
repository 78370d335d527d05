"""NetworkPolicies: networks that are not written as they should be."""

from __future__ import annotations

from picluster.api.types import Object
from picluster.api.warnings import addresses


def create(policy: Object) -> list[str]:
    found: list[str] = []
    spec = policy.get("spec") or {}
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for index, rule in enumerate(spec.get(direction) or ()):
            for number, peer in enumerate(rule.get(peers) or ()):
                path = f"spec.{direction}[{index}].{peers}[{number}].ipBlock"
                found += _block(peer.get("ipBlock") or {}, path)
    return found


def update(new: Object, old: Object) -> list[str]:
    return create(new)


def _block(block: Object, path: str) -> list[str]:
    found: list[str] = []
    if block.get("cidr"):
        found += addresses.of_cidr(f"{path}.cidr", block["cidr"])
    for index, network in enumerate(block.get("except") or ()):
        found += addresses.of_cidr(f"{path}.except[{index}]", network)
    return found
