"""A pod that names its node goes nowhere else (NodeName)."""

from __future__ import annotations

from picluster.scheduler.model import NodeInfo, PodInfo
from picluster.scheduler.refusal import Refusal
from picluster.scheduler.world import World

_REFUSAL = Refusal(("node(s) didn't match the requested node name",), final=True)


def check(pod: PodInfo, node: NodeInfo, world: World) -> Refusal | None:
    return _REFUSAL if pod.node_name and pod.node_name != node.name else None
