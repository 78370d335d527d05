"""A cordoned node takes only pods that tolerate it (NodeUnschedulable)."""

from __future__ import annotations

from picluster.api.tolerations import tolerates
from picluster.scheduler.model import NodeInfo, PodInfo
from picluster.scheduler.refusal import Refusal
from picluster.scheduler.world import World

_TAINT = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
_REFUSAL = Refusal(("node(s) were unschedulable",), final=True)


def check(pod: PodInfo, node: NodeInfo, world: World) -> Refusal | None:
    return _REFUSAL if node.unschedulable and not tolerates(pod.tolerations, _TAINT) else None
