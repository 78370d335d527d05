"""Node IPAM: every node gets a /24 of the cluster's pod range, and keeps it.

``spec.podCIDR`` of the nodes is the only record, so a restart cannot forget what was given. One worker hands ranges
out; what it gave and the cache does not show yet is remembered. A node's range is free again when the node is gone.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from picluster.api.resources import NODES
from picluster.api.types import Object
from picluster.client import PatchType
from picluster.runtime import Controller, Manager

NODE_PREFIX = 24
RETRY_FULL_S = 30.0


def next_free(cluster_cidr: str, taken: Iterable[str]) -> str | None:
    """The lowest range of a node's size that overlaps nothing ``taken``; ``None`` when the cluster's is used up."""
    cluster = ipaddress.ip_network(cluster_cidr)
    first, step = int(cluster.network_address), 1 << (cluster.max_prefixlen - NODE_PREFIX)
    used: set[int] = set()
    for text in taken:
        network = ipaddress.ip_network(text, strict=False)
        if network.version == cluster.version:
            low, high = int(network.network_address) - first, int(network.broadcast_address) - first
            if high >= 0 and low < cluster.num_addresses:
                used.update(range(max(0, low) // step, min(high, cluster.num_addresses - 1) // step + 1))
    for index in range(cluster.num_addresses // step):
        if index not in used:
            return f"{ipaddress.ip_address(first + index * step)}/{NODE_PREFIX}"
    return None


def ranges(node: Object) -> list[str]:
    """What a node has: ``podCIDRs``, of which ``podCIDR`` is the first."""
    spec = node.get("spec") or {}
    found: list[str] = spec.get("podCIDRs") or ([spec["podCIDR"]] if spec.get("podCIDR") else [])
    return found


class NodeIpamController(Controller):
    name = "cidrAllocator"
    workers = 1

    def __init__(self, cluster_cidr: str) -> None:
        if ipaddress.ip_network(cluster_cidr).prefixlen > NODE_PREFIX:
            raise ValueError(f"the cluster's pod range {cluster_cidr} is smaller than one node's /{NODE_PREFIX}")
        self._cluster_cidr = cluster_cidr
        self._given: dict[str, str] = {}

    def setup(self, manager: Manager) -> None:
        self._nodes = manager.informer(NODES)
        self._nodes.add_handler(self._on_node)

    def _on_node(self, old: Object | None, new: Object | None) -> None:
        node = new if new is not None else old
        assert node is not None
        name = node["metadata"]["name"]
        if new is None or ranges(new):
            self._given.pop(name, None)
        else:
            self.queue.add(name)

    async def reconcile(self, key: str) -> float | None:
        node = self._nodes.get(key)
        if node is None or ranges(node):
            return None
        cidr = self._given.get(key) or self._free()
        if cidr is None:
            message = f"Node {key} status is now: CIDRNotAvailable"
            self.recorder.event(node, "Normal", "CIDRNotAvailable", message)
            return RETRY_FULL_S
        self._given[key] = cidr
        metadata = {"uid": node["metadata"]["uid"]}
        patch = {"metadata": metadata, "spec": {"podCIDR": cidr, "podCIDRs": [cidr]}}
        await self.client.patch(NODES, key, patch, kind=PatchType.STRATEGIC)
        return None

    def _free(self) -> str | None:
        known = [cidr for node in self._nodes.values() for cidr in ranges(node)]
        return next_free(self._cluster_cidr, [*known, *self._given.values()])
