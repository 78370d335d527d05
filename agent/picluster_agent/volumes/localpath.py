"""Directories of local volumes: made and removed as the control plane's provisioner ``picluster.io/local-path`` asks.

A volume's directory lies right below one root and is everybody's to write, as its pods may run as any user; a root that
is made here is closed to all others of the node. To remove one it is renamed first, which is done once and for all, and
emptied after that: what a power cut left of it is swept at the next start.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
from pathlib import Path

from picluster.util.tasks import Tasks
from picluster_agent.volumes.removal import remove_tree

log = logging.getLogger(__name__)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
REMOVED = ".removed-"


class LocalPaths:
    """``start`` sweeps what is left from before; names are those that ``is_name`` lets pass."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._tasks = Tasks("local volumes")
        self._sweeping = asyncio.Lock()

    def start(self) -> None:
        self._tasks.spawn(self._sweep(), "sweep")

    async def close(self) -> None:
        await self._tasks.close()

    async def make(self, name: str) -> Path:
        """The volume's directory, made if it is not there; raises ``OSError``."""
        return await asyncio.to_thread(_make, self.root, name)

    async def remove(self, name: str) -> None:
        """Take the directory away with all that is in it; safe when it is not there. Raises ``OSError``."""
        await asyncio.to_thread(_set_aside, self.root, name)
        self._tasks.spawn(self._sweep(), "sweep")

    async def _sweep(self) -> None:
        async with self._sweeping:
            await asyncio.to_thread(_sweep, self.root)


def is_name(name: str) -> bool:
    return NAME.fullmatch(name) is not None


def _make(root: Path, name: str) -> Path:
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = root / name
    path.mkdir(exist_ok=True)
    path.chmod(0o777)
    _settle(root)
    return path


def _set_aside(root: Path, name: str) -> None:
    target = root / f"{REMOVED}{name}"
    if target.exists():  # of the same name, half removed
        remove_tree(target)
    with contextlib.suppress(FileNotFoundError):
        (root / name).rename(target)
        _settle(root)


def _settle(directory: Path) -> None:
    """Have its entries on the disk."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sweep(root: Path) -> None:
    for path in root.glob(f"{REMOVED}*"):
        try:
            remove_tree(path)
        except OSError as error:
            log.warning("%s could not be removed, it stays until the next start: %s", path, error)
