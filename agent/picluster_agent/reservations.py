"""What of the machine pods may have: all there is, without what is kept for the system, the agent and evictions. Pure.

``pkg/kubelet/cm/node_container_manager_linux.go``: ``allocatable`` is what the node reports; what the group of all pods
is bounded by (``pods_memory_bytes``) does not leave out the eviction threshold, so that evictions come first.
"""

from __future__ import annotations

from collections.abc import Mapping

from picluster.api.quantity import milli, value
from picluster_agent import amounts
from picluster_agent.config import Config

EVICTED = {"memory": "memory.available", "ephemeral-storage": "nodefs.available"}


def capacity(machine: Mapping[str, str], config: Config) -> dict[str, str]:
    """What the node has: the machine's, and as many pods as its settings allow."""
    return {**machine, "pods": str(config.max_pods)}


def allocatable(whole: Mapping[str, str], config: Config) -> dict[str, str]:
    """``status.allocatable`` of a node with this capacity; never below nothing."""
    left = dict(whole)
    left["cpu"] = f"{cpu_milli(whole, config)}m"
    for name, signal in EVICTED.items():
        total = value(whole.get(name, "0"))
        kept = _reserved(name, config) + amounts.of(config.eviction_hard.get(signal, "0"), total)
        if name == "memory":
            kept += sum(value(amount) for page, amount in whole.items() if page.startswith("hugepages-"))
        free = max(total - kept, 0)
        left[name] = f"{free // 1024}Ki" if name == "memory" else str(free)
    return left


def cpu_milli(whole: Mapping[str, str], config: Config) -> int:
    """Processors for pods."""
    kept = sum(milli(part.get("cpu", "0")) for part in (config.system_reserved, config.kube_reserved))
    return max(milli(whole["cpu"]) - kept, 0)


def pods_memory_bytes(whole: Mapping[str, str], config: Config) -> int:
    """What all pods together may use before the kernel kills one of them."""
    return max(value(whole["memory"]) - _reserved("memory", config), 0)


def _reserved(name: str, config: Config) -> int:
    return sum(value(part.get(name, "0")) for part in (config.system_reserved, config.kube_reserved))
