"""A claim for a single pod (``ReadWriteOncePod``) has no other, a disk is written by one pod of a node
(VolumeRestrictions, KEP-2485)."""

from __future__ import annotations

from picluster.api.types import Object
from picluster.api.volumebinding import SINGLE_POD
from picluster.scheduler.model import NodeInfo, PodInfo
from picluster.scheduler.refusal import Refusal
from picluster.scheduler.world import World

_IN_USE = Refusal(
    (
        "node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode "
        "already in-use by another pod",
    )
)
_NO_DISK = Refusal(("node(s) had no available disk",))


def check(pod: PodInfo, node: NodeInfo, world: World) -> Refusal | None:
    for name, _ in pod.claims:
        key = f"{pod.namespace}/{name}"
        if world.snapshot.claim_users(key):
            claim = world.snapshot.volumes.claim(key)
            if claim is not None and SINGLE_POD in (claim["spec"].get("accessModes") or ()):
                return _IN_USE
    if pod.disks:
        there = [disk for other in node.pods.values() for disk in other.disks]
        if any(_clash(wanted, disk) for wanted in pod.disks for disk in there):
            return _NO_DISK
    return None


def _clash(one: Object, other: Object) -> bool:
    """Whether both volumes are one disk that at least one of them writes; EBS disks are never shared."""
    for kind, same in (("gcePersistentDisk", "pdName"), ("awsElasticBlockStore", "volumeID"), ("iscsi", "iqn")):
        mine, its = one.get(kind), other.get(kind)
        if mine and its and mine[same] == its[same]:
            return kind == "awsElasticBlockStore" or not (mine.get("readOnly") and its.get("readOnly"))
    mine, its = one.get("rbd"), other.get("rbd")
    if not mine or not its or (mine.get("readOnly") and its.get("readOnly")):
        return False
    overlap = not set(mine.get("monitors") or ()).isdisjoint(its.get("monitors") or ())
    return overlap and all(mine.get(key, "rbd") == its.get(key, "rbd") for key in ("pool", "image"))
