"""Prefer domains by the weights of preferred affinity between pods, theirs and ours (InterPodAffinity)."""

from __future__ import annotations

from collections.abc import Sequence

from picluster.scheduler.model import NodeInfo, PodInfo
from picluster.scheduler.world import World


def score(pod: PodInfo, nodes: Sequence[NodeInfo], world: World) -> list[int]:
    names = [name for name in world.tallies if name[0] == "prefer"]
    if not names:
        return [0] * len(nodes)
    values = [sum(world.at(name, node) for name in names) for node in nodes]
    low, high = min(values), max(values)
    return [int(100 * ((value - low) / (high - low))) if high > low else 0 for value in values]
