"""A claim for a single pod (``ReadWriteOncePod``) has no other (VolumeRestrictions, KEP-2485)."""

from __future__ import annotations

from picluster.api.volumebinding import SINGLE_POD
from picluster.scheduler.model import NodeInfo, PodInfo
from picluster.scheduler.refusal import Refusal
from picluster.scheduler.world import World

_REFUSAL = Refusal(
    (
        "node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode "
        "already in-use by another pod",
    )
)


def check(pod: PodInfo, node: NodeInfo, world: World) -> Refusal | None:
    for name, _ in pod.claims:
        key = f"{pod.namespace}/{name}"
        if world.snapshot.claim_users(key):
            claim = world.snapshot.volumes.claim(key)
            if claim is not None and SINGLE_POD in (claim["spec"].get("accessModes") or ()):
                return _REFUSAL
    return None
