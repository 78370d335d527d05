"""Prefer nodes by the weights of the pod's preferred node affinity (NodeAffinity)."""

from __future__ import annotations

from collections.abc import Sequence

from picluster.api.selectors.nodes import matches
from picluster.scheduler.model import NodeInfo, PodInfo
from picluster.scheduler.scores.normalize import to_best
from picluster.scheduler.world import World


def score(pod: PodInfo, nodes: Sequence[NodeInfo], world: World) -> list[int]:
    return to_best([raw(pod, node) for node in nodes])


def raw(pod: PodInfo, node: NodeInfo) -> int:
    return sum(t["weight"] for t in pod.preferred_affinity if matches(t["preference"], node.labels, node.name))
