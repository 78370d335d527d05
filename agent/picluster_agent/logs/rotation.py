"""Logs are rotated as the kubelet does it (``pkg/kubelet/logs/container_log_manager.go``), without losing a line.

A log that is too large is renamed; conmon goes on writing into it until it is told to begin a new file, and then
writes there. (Its own limit on the size throws away what was written, so it is set far above.) Rotated files but the
newest are compressed, and the oldest go. Sizes are looked at every ten seconds; sooner where a log grows fast.
"""

from __future__ import annotations

import asyncio
import gzip
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from picluster.util.clock import Clock
from picluster_agent.logs import segments
from picluster_agent.podman.client import Podman, PodmanError, PodmanUnavailable
from picluster_agent.podman.monitor import Monitor

log = logging.getLogger(__name__)

HURRY_S = 1.0
COMPRESS_LEVEL = 6
STAMP = "%Y%m%d-%H%M%S"


@dataclass(frozen=True, slots=True)
class Written:
    """A log that a running container writes."""

    container_id: str
    path: Path


@dataclass(frozen=True, slots=True)
class LogLimits:
    size_bytes_max: int = 10 << 20
    files_max: int = 5
    """Of one container, the one that is written among them; at least 2."""
    interval_s: float = 10.0


class LogRotation:
    """``written`` tells the logs of all running containers."""

    def __init__(
        self, podman: Podman, clock: Clock, limits: LogLimits, written: Callable[[], Iterable[Written]]
    ) -> None:
        self._podman = podman
        self._clock = clock
        self._limits = limits
        self._written = written
        self._sizes: dict[Path, int] = {}

    async def run(self) -> None:
        while True:
            await self._clock.sleep(await self.look())

    async def look(self) -> float:
        """Rotate what is too large; how long until the next look."""
        sizes: dict[Path, int] = {}
        for one in list(self._written()):
            size = _size(one.path)
            if size is None or size >= self._limits.size_bytes_max:
                await self._rotate(one, size)
                size = _size(one.path) or 0
            sizes[one.path] = size
        hurry = any(
            size + size - self._sizes.get(path, size) > self._limits.size_bytes_max for path, size in sizes.items()
        )
        self._sizes = sizes
        return min(HURRY_S, self._limits.interval_s) if hurry else self._limits.interval_s

    async def _rotate(self, one: Written, size: int | None) -> None:
        """Without a file at the log's path, an agent ended between the two steps: only the second is left to do."""
        try:
            monitor = Monitor(await self._podman.inspect(one.container_id))
            if size is not None:
                await asyncio.to_thread(make_room, one.path, self._limits.files_max)
            step(one.path, monitor, time.strftime(STAMP, time.gmtime(self._clock.now())))
        except (PodmanError, PodmanUnavailable, OSError) as error:
            log.warning("cannot rotate %s: %s", one.path, error)


def step(path: Path, monitor: Monitor, stamp: str) -> None:
    """Rename the log and have conmon begin a new one; raises ``OSError``, and then the log is as it was."""
    aside = path.with_name(f"{path.name}.{stamp}")
    renamed = path.exists()
    if renamed:
        if aside.exists() or aside.with_name(aside.name + segments.COMPRESSED).exists():
            return  # twice in a second: the next look will do
        path.rename(aside)
    try:
        monitor.reopen_log()
    except OSError:
        if renamed and not path.exists():
            aside.rename(path)
        raise


def make_room(path: Path, files_max: int) -> None:
    """Before a rotation: remove the oldest files, so that ``files_max`` are left after it, and compress the others."""
    for left in path.parent.glob(f"{path.name}.*{segments.TEMPORARY}"):
        left.unlink(missing_ok=True)
    rotated = segments.rotated(path)
    surplus = len(rotated) - max(files_max - 2, 0)
    for one in rotated[: max(surplus, 0)]:
        one.unlink(missing_ok=True)
    for one in rotated[max(surplus, 0) :]:
        if one.suffix != segments.COMPRESSED:
            compress(one)


def compress(path: Path) -> None:
    """Put ``path.gz`` in the place of ``path``; at any moment one of them is whole."""
    found = path.stat()
    target = path.with_name(path.name + segments.COMPRESSED)
    temporary = target.with_name(target.name + segments.TEMPORARY)
    with path.open("rb") as source, temporary.open("wb") as file:
        with gzip.GzipFile(fileobj=file, mode="wb", filename="", compresslevel=COMPRESS_LEVEL) as packed:
            shutil.copyfileobj(source, packed, segments.BLOCK_BYTES)
        file.flush()
        os.fsync(file.fileno())
    temporary.chmod(0o600)
    os.utime(temporary, ns=(found.st_mtime_ns, found.st_mtime_ns))
    temporary.rename(target)
    path.unlink()


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
