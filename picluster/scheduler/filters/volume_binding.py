"""The pod's volumes are on the node, or can be found or made there (VolumeBinding)."""

from __future__ import annotations

from picluster.scheduler.model import NodeInfo, PodInfo
from picluster.scheduler.refusal import Refusal
from picluster.scheduler.volumeplan import plan_for
from picluster.scheduler.world import World


def check(pod: PodInfo, node: NodeInfo, world: World) -> Refusal | None:
    if not pod.claims:
        return None
    found = plan_for(pod, node, world.snapshot.volumes)
    return found if isinstance(found, Refusal) else None
