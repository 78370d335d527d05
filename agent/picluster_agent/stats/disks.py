"""How much room there is, and what each container and volume takes of it: measured when asked, at most once a minute.

To measure is to walk through directories, so it is done in a thread, by one caller at a time, and ends at a bound.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from picluster.util.clock import Clock
from picluster.util.tasks import Tasks
from picluster_agent.podman.client import Podman, PodmanError, PodmanUnavailable
from picluster_agent.stats.model import Disks, DiskSpace, PodDisks, VolumeSpace
from picluster_agent.sync.model import Seen
from picluster_agent.sync.worker import PodWorker
from picluster_agent.volumes import layout

log = logging.getLogger(__name__)

FRESH_S = 60.0
ENTRIES_MAX = 200_000
"""Of one directory tree; what is beyond is not counted."""
SOON_S = 2.0
STORAGE = Path("/var/lib/containers")


@dataclass(frozen=True, slots=True)
class _Volume:
    name: str
    path: Path
    claim: str
    ephemeral: bool


@dataclass(frozen=True, slots=True)
class _Pod:
    """Directories to measure, by container, and volumes."""

    uid: str
    roots: dict[str, Path]
    logs: dict[str, Path]
    volumes: tuple[_Volume, ...]


class DiskMeter:
    def __init__(
        self,
        data_dir: Path,
        podman: Podman,
        workers: Callable[[], Iterable[PodWorker]],
        seen: Callable[[str], tuple[Seen, ...]],
        clock: Clock,
    ) -> None:
        self._data_dir = data_dir
        self._podman = podman
        self._workers = workers
        self._seen = seen
        self._clock = clock
        self._measuring = asyncio.Lock()
        self._last: Disks | None = None
        self._known: frozenset[str] = frozenset()
        self._uppers: dict[str, Path | None] = {}
        self._tasks = Tasks("disks")

    async def disks(self) -> Disks:
        """At most a minute old, but for containers that were not there then."""
        async with self._measuring:
            now_s = self._clock.now()
            listed = [(worker, self._running(worker)) for worker in self._workers()]
            ids = frozenset(one.id for _, seen in listed for one in seen)
            if self._last is None or not 0 <= now_s - self._last.at_s < FRESH_S or ids - self._known:
                pods = [await self._pod(worker, seen) for worker, seen in listed if seen]
                self._uppers = {key: path for key, path in self._uppers.items() if key in ids}
                self._last = await asyncio.to_thread(_measure, self._data_dir, pods, now_s)
                self._known = ids
            return self._last

    async def soon(self) -> Disks | None:
        """``disks`` if they are measured within a moment, else those of the last time."""
        task = self._tasks.spawn(self.disks(), "measure")
        await asyncio.wait((task,), timeout=SOON_S)
        return task.result() if task.done() and not task.cancelled() else self._last

    def claims(self) -> list[tuple[str, str, DiskSpace]]:
        """Namespace, name and file system of every PersistentVolumeClaim that is mounted for a pod here."""
        found: dict[tuple[str, str], Path] = {}
        for worker in self._workers():
            for place in worker.context.volumes.values():
                if place.claim and not place.device:
                    found.setdefault((worker.context.namespace, place.claim), place.path)
        spaces = ((key, space(path)) for key, path in found.items())
        return [(*key, whole) for key, whole in spaces if whole is not None]

    async def close(self) -> None:
        await self._tasks.close()

    def _running(self, worker: PodWorker) -> list[Seen]:
        return [one for one in self._seen(worker.context.uid) if one.running]

    async def _pod(self, worker: PodWorker, seen: list[Seen]) -> _Pod:
        context = worker.context
        kinds = {one["name"]: layout.kind_of(one) for one in context.pod["spec"].get("volumes") or ()}
        uppers = {one.name: await self._upper(one.id) for one in seen}
        volumes = [
            _Volume(name, place.path, place.claim, kinds.get(name) in layout.OURS)
            for name, place in context.volumes.items()
            if (place.claim or kinds.get(name) in layout.OURS) and not place.device
        ]
        return _Pod(
            context.uid,
            {name: path for name, path in uppers.items() if path is not None},
            {one.name: context.paths.log(one.name, one.attempt).parent for one in seen},
            tuple(volumes),
        )

    async def _upper(self, container_id: str) -> Path | None:
        """Where the container's own writes are; Podman is asked once for each container."""
        if container_id not in self._uppers:
            try:
                driver = (await self._podman.inspect(container_id)).get("GraphDriver") or {}
            except (PodmanError, PodmanUnavailable) as error:
                log.debug("where container %s writes is not known: %s", container_id, error)
                return None
            upper = (driver.get("Data") or {}).get("UpperDir")
            self._uppers[container_id] = Path(upper) if upper else None
        return self._uppers[container_id]


def _measure(data_dir: Path, pods: Iterable[_Pod], now_s: float) -> Disks:
    node = space(data_dir) or DiskSpace(0, 0, 0, 0)
    images = space(STORAGE) or node
    return Disks(now_s, node, images, {pod.uid: _measure_pod(pod, node, images) for pod in pods})


def _measure_pod(pod: _Pod, node: DiskSpace, images: DiskSpace) -> PodDisks:
    return PodDisks(
        {name: used_of(images, path) for name, path in pod.roots.items()},
        {name: used_of(node, path) for name, path in pod.logs.items()},
        tuple(
            VolumeSpace(one.name, found, one.claim, one.ephemeral)
            for one in pod.volumes
            if (found := _volume(one)) is not None
        ),
    )


def _volume(volume: _Volume) -> DiskSpace | None:
    """A claim's is the file system's, as for every mount; what is on the node's own disk is measured."""
    whole = space(volume.path)
    return whole if whole is None or (volume.claim and os.path.ismount(volume.path)) else used_of(whole, volume.path)


def space(path: Path) -> DiskSpace | None:
    """The file system of ``path``."""
    try:
        found = os.statvfs(path)
    except OSError:
        return None
    size = found.f_frsize
    used_bytes = (found.f_blocks - found.f_bfree) * size
    return DiskSpace(
        found.f_blocks * size, found.f_bavail * size, found.f_files, found.f_ffree, used_bytes,
        found.f_files - found.f_ffree,
    )  # fmt: skip


def used_of(whole: DiskSpace, path: Path) -> DiskSpace:
    """The room of ``whole``, and what the tree at ``path`` takes of it."""
    used_bytes, inodes = measure(path)
    return DiskSpace(whole.capacity_bytes, whole.available_bytes, whole.inodes, whole.inodes_free, used_bytes, inodes)


def measure(root: Path, entries_max: int = ENTRIES_MAX) -> tuple[int, int]:
    """Bytes on the disk and inodes of a tree; a file with several names counts once, other file systems do not."""
    try:
        top = root.lstat()
    except OSError:
        return 0, 0
    used_bytes, inodes = top.st_blocks * 512, 1
    linked: set[int] = set()
    waiting = [str(root)]
    while waiting and inodes < entries_max:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    status = entry.stat(follow_symlinks=False)
                    if status.st_dev != top.st_dev or status.st_ino in linked:
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    elif status.st_nlink > 1:
                        linked.add(status.st_ino)
                    used_bytes += status.st_blocks * 512
                    inodes += 1
        except OSError:  # it has gone meanwhile
            continue
    return used_bytes, inodes
