"""Defaults of Nodes."""

from __future__ import annotations

from picluster.api.defaults.quantities import canonicalize
from picluster.api.types import Object


def apply(node: Object) -> None:
    """What is allocatable is all there is, unless said otherwise.

    ``podCIDR`` is the first of ``podCIDRs``, and the one that counts where they differ (``conversion.go``).
    """
    spec = node.setdefault("spec", {})
    cidr, cidrs = spec.get("podCIDR"), spec.get("podCIDRs")
    if cidr and (not cidrs or cidrs[0] != cidr):
        spec["podCIDRs"] = [cidr]
    elif cidrs:
        spec["podCIDR"] = cidrs[0]
    status = node.get("status")
    if not status:
        return
    if (capacity := status.get("capacity")) is not None:
        canonicalize(capacity)
        status.setdefault("allocatable", dict(capacity))
    if (allocatable := status.get("allocatable")) is not None:
        canonicalize(allocatable)
