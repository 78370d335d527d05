"""Who was killed because memory ended, from the kernel's log.

Podman's monitor looks at its own container's group only, and on version 1 it does not notice at all; the kernel's log
names the group of every victim. Reading it costs nothing while nothing is logged. A board that hides the log (a
container) goes without: its containers end with 137 and no reason.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)

KERNEL_LOG = Path("/dev/kmsg")
RECORD_BYTES_MAX = 8192
RECORDS_MAX = 256
"""Read at one time; then others have their turn."""
KILLED_MAX = 512
_KILL = re.compile(r"oom-kill:constraint=(\w+),.*task_memcg=([^,]*),task=(.*),pid=(\d+),uid=\d+")
_CONTAINER = re.compile(r"/libpod-([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Killed:
    """``container_id`` is empty for a process of no container; ``whole`` says that the machine itself ran out."""

    process: str
    pid: int
    container_id: str
    whole: bool


def parse(record: str) -> Killed | None:
    """One record of the kernel's log, if it tells of a victim."""
    found = _KILL.search(record)
    if found is None:
        return None
    container = _CONTAINER.search(found[2])
    return Killed(found[3], int(found[4]), container[1] if container else "", found[1] != "CONSTRAINT_MEMCG")


class OomWatch:
    """``on_whole`` is told of victims of the whole machine's end of memory."""

    def __init__(self, on_whole: Callable[[Killed], None]) -> None:
        self._on_whole = on_whole
        self._killed: dict[str, Killed] = {}
        self._descriptor = -1

    def start(self, path: Path = KERNEL_LOG) -> None:
        """Follow the log from now on."""
        try:
            if not stat.S_ISCHR(path.stat().st_mode):
                raise OSError("no kernel log")
            self._descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            os.lseek(self._descriptor, 0, os.SEEK_END)
            asyncio.get_running_loop().add_reader(self._descriptor, self._read)
        except OSError as error:
            log.info("who is killed when memory ends is not known here: %s: %s", path, error)

    async def close(self) -> None:
        if self._descriptor >= 0:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    def killed(self, container_id: str) -> bool:
        """Whether memory ended for a process of this container."""
        return container_id in self._killed

    def _read(self) -> None:
        for _ in range(RECORDS_MAX):
            try:
                record = os.read(self._descriptor, RECORD_BYTES_MAX)
            except BrokenPipeError:  # records were overwritten before they were read
                continue
            except OSError:
                return
            if (found := parse(record.decode(errors="replace"))) is not None:
                self._note(found)

    def _note(self, found: Killed) -> None:
        if found.container_id:
            self._killed[found.container_id] = found
            while len(self._killed) > KILLED_MAX:
                del self._killed[next(iter(self._killed))]
        if found.whole:
            self._on_whole(found)
