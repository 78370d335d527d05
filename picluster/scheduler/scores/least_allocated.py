"""Prefer nodes with more left: the mean of free CPU and free memory, in percent (NodeResourcesFit, LeastAllocated)."""

from __future__ import annotations

from picluster.scheduler.model import NodeInfo, PodInfo


def score(pod: PodInfo, node: NodeInfo) -> int:
    cpu, memory = node.cpu, node.memory
    used_cpu, used_memory = node.scored_cpu + pod.scored_cpu, node.scored_memory + pod.scored_memory
    free_cpu = 100 * (cpu - used_cpu) // cpu if 0 < cpu >= used_cpu else 0
    free_memory = 100 * (memory - used_memory) // memory if 0 < memory >= used_memory else 0
    return (free_cpu + free_memory) // ((cpu > 0) + (memory > 0) or 1)
