"""``nodeSelector`` and required node affinity (NodeAffinity)."""

from __future__ import annotations

from picluster.scheduler.model import NodeInfo, PodInfo
from picluster.scheduler.refusal import Refusal
from picluster.scheduler.selection import wanted_by
from picluster.scheduler.world import World

_REFUSAL = Refusal(("node(s) didn't match Pod's node affinity/selector",), final=True)


def check(pod: PodInfo, node: NodeInfo, world: World) -> Refusal | None:
    return None if wanted_by(pod, node) else _REFUSAL
