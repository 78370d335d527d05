"""Looks for drivers' sockets in ``plugins_registry`` (inotify), and lets unmodified drivers find this node's directory.

Manifests of drivers mount ``/var/lib/kubelet/…`` from the host. So that they need no change, that path is a link to the
agent's own directory, where there is nothing else at it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable
from pathlib import Path

from picluster_agent import kernel

log = logging.getLogger(__name__)

REGISTRY = "plugins_registry"
READ_BYTES_MAX = 64 * 1024


def link(kubelet_dir: Path, data_dir: Path) -> Path:
    """Make ``kubelet_dir`` mean ``data_dir``; the path by which drivers are told of places."""
    with contextlib.suppress(OSError):
        if not os.path.lexists(kubelet_dir):
            kubelet_dir.symlink_to(data_dir)
    if kubelet_dir.resolve() == data_dir.resolve():
        return kubelet_dir
    log.warning("%s is something else: storage drivers must be told that this node's is %s", kubelet_dir, data_dir)
    return data_dir


class Registry:
    """Tells ``on_change`` the sockets that are there, at the start and whenever one comes or goes."""

    def __init__(self, directory: Path, on_change: Callable[[set[Path]], None]) -> None:
        self._directory = directory
        self._on_change = on_change
        self._descriptor = -1

    def start(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o750)
        self._descriptor = kernel.watch_directory(self._directory)
        asyncio.get_running_loop().add_reader(self._descriptor, self._readable)
        self._look()

    def close(self) -> None:
        if self._descriptor >= 0:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    def _readable(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._descriptor, READ_BYTES_MAX)
        self._look()

    def _look(self) -> None:
        with contextlib.suppress(OSError):
            self._on_change({entry for entry in self._directory.iterdir() if entry.is_socket()})
