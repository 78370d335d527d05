"""A taint of effect NoSchedule or NoExecute keeps away what does not tolerate it (TaintToleration)."""

from __future__ import annotations

from picluster.scheduler.model import NodeInfo, PodInfo
from picluster.scheduler.refusal import Refusal
from picluster.scheduler.world import World, untolerated

_REFUSAL = Refusal(("node(s) had untolerated taint(s)",), final=True)


def check(pod: PodInfo, node: NodeInfo, world: World) -> Refusal | None:
    return None if untolerated(pod, node) is None else _REFUSAL
