"""Prefer nodes whose CPU and memory would be used in more alike measure than now (NodeResourcesBalancedAllocation)."""

from __future__ import annotations

from picluster.scheduler.model import NodeInfo, PodInfo


def score(pod: PodInfo, node: NodeInfo) -> int:
    """50 to 100; 0 for a pod that asks for neither CPU nor memory, as it changes no balance."""
    own_cpu, own_memory = pod.requests.get("cpu", 0), pod.requests.get("memory", 0)
    if not own_cpu and not own_memory:
        return 0
    cpu, memory = node.cpu, node.memory
    if not cpu or not memory:
        return 75
    used_cpu, used_memory = node.used_cpu, node.used_memory
    then = _balance((used_cpu + own_cpu) / cpu, (used_memory + own_memory) / memory)
    return 50 + (50 + then - _balance(used_cpu / cpu, used_memory / memory)) // 2


def _balance(cpu: float, memory: float) -> int:
    """100 less the standard deviation of the used fractions, which for two is half their distance."""
    if cpu > 1 or memory > 1:
        cpu, memory = min(cpu, 1.0), min(memory, 1.0)
    return int(100 - 50 * abs(cpu - memory))
