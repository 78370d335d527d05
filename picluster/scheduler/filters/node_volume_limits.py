"""A driver attaches only so many volumes to a node (NodeVolumeLimits): what CSINode says it can."""

from __future__ import annotations

from collections.abc import Iterator

from picluster.api.meta import key_of
from picluster.api.types import Object
from picluster.api.volumebinding import class_of
from picluster.scheduler.model import NodeInfo, PodInfo
from picluster.scheduler.refusal import Refusal
from picluster.scheduler.volumes import Volumes
from picluster.scheduler.world import World

_REFUSAL = Refusal(("node(s) exceed max volume count",))


def check(pod: PodInfo, node: NodeInfo, world: World) -> Refusal | None:
    volumes = world.snapshot.volumes
    limits = dict(_limits(volumes.csi_node(node.name))) if pod.claims else {}
    if not limits:
        return None
    wanted = {one for one in _attached(pod, volumes) if one[0] in limits}
    if not wanted:
        return None
    there = {one for other in node.pods.values() if other.claims for one in _attached(other, volumes)}
    for driver in {driver for driver, _ in wanted - there}:
        if sum(one[0] == driver for one in there | wanted) > limits[driver]:
            return _REFUSAL
    return None


def _limits(csi_node: Object | None) -> Iterator[tuple[str, int]]:
    for driver in ((csi_node or {}).get("spec") or {}).get("drivers") or ():
        count = (driver.get("allocatable") or {}).get("count")
        if count is not None:
            yield driver["name"], int(count)


def _attached(pod: PodInfo, volumes: Volumes) -> Iterator[tuple[str, str]]:
    """Driver and handle of each volume; a claim that has none yet counts for the driver that will make it."""
    for name, _ in pod.claims:
        claim = volumes.claim(f"{pod.namespace}/{name}")
        if claim is None:
            continue
        volume = volumes.volume(claim["spec"].get("volumeName") or "")
        if volume is not None:
            source = volume["spec"].get("csi")
            if source is not None:
                yield source["driver"], source["volumeHandle"]
        elif (storage_class := volumes.storage_class(class_of(claim))) is not None:
            yield storage_class["provisioner"], key_of(claim)
