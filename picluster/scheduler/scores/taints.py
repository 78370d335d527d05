"""Prefer nodes with fewer taints of effect PreferNoSchedule that the pod does not tolerate (TaintToleration)."""

from __future__ import annotations

from collections.abc import Sequence

from picluster.api.tolerations import tolerates
from picluster.scheduler.model import NodeInfo, PodInfo
from picluster.scheduler.scores.normalize import to_best
from picluster.scheduler.world import World


def score(pod: PodInfo, nodes: Sequence[NodeInfo], world: World) -> list[int]:
    return to_best([raw(pod, node) for node in nodes], reverse=True)


def raw(pod: PodInfo, node: NodeInfo) -> int:
    soft = (taint for taint in node.taints if taint.get("effect") == "PreferNoSchedule")
    return sum(not tolerates(pod.tolerations, taint) for taint in soft)
