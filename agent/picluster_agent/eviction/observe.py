"""How much of everything is left on the node, and what each pod uses. Reads a few small files; milliseconds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from picluster.api.types import Object
from picluster_agent import machine
from picluster_agent.cgroups import names, usage
from picluster_agent.cgroups.hierarchy import Hierarchy
from picluster_agent.eviction.thresholds import ALLOCATABLE_MEMORY, Observation
from picluster_agent.eviction.usage import DiskUse, PodUse
from picluster_agent.stats.disks import space
from picluster_agent.stats.model import DiskSpace, PodDisks
from picluster_agent.sync.model import Seen

PROC = Path("/proc")


def node(data_dir: Path, storage: Path, hierarchy: Hierarchy | None, proc: Path = PROC) -> dict[str, Observation]:
    """Every signal that can be measured here."""
    seen = {"memory.available": memory(hierarchy, proc), "pid.available": processes(proc)}
    if hierarchy is not None and (pods := _of_pods(hierarchy)) is not None:
        seen[ALLOCATABLE_MEMORY] = pods
    own, images = space(data_dir), space(storage)
    containers = images if split(data_dir, storage) else own
    for name, disk in (("nodefs", own), ("imagefs", images or own), ("containerfs", containers)):
        if disk is not None:
            seen[f"{name}.available"] = Observation(disk.available_bytes, disk.capacity_bytes)
            if disk.inodes:
                seen[f"{name}.inodesFree"] = Observation(disk.inodes_free, disk.inodes)
    return seen


def split(data_dir: Path, storage: Path) -> bool:
    """Whether images and containers are on a file system of their own."""
    try:
        return data_dir.stat().st_dev != storage.stat().st_dev
    except OSError:
        return False


def memory(hierarchy: Hierarchy | None, proc: Path = PROC) -> Observation:
    """The machine's, or that of the group that this board is when that has a limit; without inactive file pages."""
    info = machine.meminfo((proc / "meminfo").read_text())
    total = info["MemTotal"]
    if hierarchy is not None:
        limit = usage.limit_bytes(hierarchy, "")
        top = usage.read(hierarchy, "") if 0 < limit < total else None
        if top is not None:
            return Observation(max(limit - top.working_set_bytes, 0), limit)
    return Observation(info["MemFree"] + info.get("Inactive(file)", 0), total)


def _of_pods(hierarchy: Hierarchy) -> Observation | None:
    """What all pods together have left."""
    limit = usage.limit_bytes(hierarchy, hierarchy.root)
    used = usage.read(hierarchy, hierarchy.root) if limit else None
    if used is None:
        return None
    left = max(limit - used.working_set_bytes, 0)
    return Observation(left, left + used.working_set_bytes)


def processes(proc: Path = PROC) -> Observation:
    limits = [int((proc / "sys/kernel" / name).read_text()) for name in ("pid_max", "threads-max")]
    running = int((proc / "loadavg").read_text().split()[3].partition("/")[2])
    return Observation(max(min(limits) - running, 0), min(limits))


def pods(
    hierarchy: Hierarchy | None, listed: Iterable[tuple[Object, tuple[Seen, ...]]], disks: Mapping[str, PodDisks]
) -> list[PodUse]:
    """What each pod uses; ``disks`` by uid, as far as they were measured."""
    return [_pod(hierarchy, pod, seen, disks.get(pod["metadata"]["uid"])) for pod, seen in listed]


def _pod(hierarchy: Hierarchy | None, pod: Object, seen: tuple[Seen, ...], disks: PodDisks | None) -> PodUse:
    use = disk_use(disks) if disks is not None else DiskUse()
    if hierarchy is None:
        return PodUse(pod, disk=use)
    uid = pod["metadata"]["uid"]
    group = names.find_pod(hierarchy, uid)
    containers = {}
    for one in seen:
        place = names.of_container(hierarchy, group, one.id) if one.running else None
        if place is not None and (found := usage.read(hierarchy, place)) is not None:
            containers[one.name] = found.working_set_bytes
    whole = usage.of_pod(hierarchy, uid, [one.id for one in seen if one.running]) or usage.Usage()
    return PodUse(pod, whole.working_set_bytes, containers, whole.processes, use)


def disk_use(disks: PodDisks) -> DiskUse:
    def pairs(spaces: Mapping[str, DiskSpace]) -> dict[str, tuple[int, int]]:
        return {name: (one.used_bytes or 0, one.inodes_used or 0) for name, one in spaces.items()}

    volumes = {one.name: one.space for one in disks.volumes if one.ephemeral}
    return DiskUse(pairs(disks.roots), pairs(disks.logs), pairs(volumes))
