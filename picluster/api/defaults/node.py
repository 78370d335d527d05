"""Defaults of Nodes."""

from __future__ import annotations

from picluster.api.defaults.quantities import canonicalize
from picluster.api.types import Object


def apply(node: Object) -> None:
    """What is allocatable is all there is, unless said otherwise; ``podCIDR`` is the first of ``podCIDRs``."""
    spec = node.setdefault("spec", {})
    if spec.get("podCIDRs"):
        spec["podCIDR"] = spec["podCIDRs"][0]
    elif spec.get("podCIDR"):
        spec["podCIDRs"] = [spec["podCIDR"]]
    status = node.get("status")
    if not status:
        return
    if (capacity := status.get("capacity")) is not None:
        canonicalize(capacity)
        status.setdefault("allocatable", dict(capacity))
    if (allocatable := status.get("allocatable")) is not None:
        canonicalize(allocatable)
