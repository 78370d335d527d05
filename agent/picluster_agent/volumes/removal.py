"""Taking a pod's volumes away, without ever deleting somebody's data through a mount.

A tree is removed with ``openat2(RESOLVE_NO_XDEV)``: a directory on which something is mounted, also by a driver that
answers late, cannot be entered, so it stays, with all that is in it. Directories of persistent volumes are removed by
``rmdir`` alone, which fails while anything is in them or mounted on them.
"""

from __future__ import annotations

import contextlib
import errno
import os
import uuid
from pathlib import Path

from picluster_agent import kernel
from picluster_agent.volumes import layout

DEPTH_MAX = 64
"""A container may nest directories without end; deeper ones are first moved up, so that few stay open."""
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_INSIDE = kernel.RESOLVE_NO_XDEV | kernel.RESOLVE_NO_SYMLINKS | kernel.RESOLVE_BENEATH


class StillMounted(OSError):
    """Something is mounted below a directory that was to be removed."""


def tear_down(pod_dir: Path) -> None:
    """Unmount and remove every volume that no driver has to be asked for; safe to call again, or for nothing.

    Raises ``OSError`` while something is left; then it is tried again.
    """
    release_subpaths(pod_dir)
    volumes = pod_dir / "volumes"
    csi = volumes / layout.PLUGINS["csi"]
    for plugin in _entries(volumes):
        if plugin == csi:
            continue
        kernel.unmount_tree(plugin)
        if plugin.name in {layout.PLUGINS[kind] for kind in layout.OURS}:
            remove_tree(plugin)
        else:
            for place in _entries(plugin):
                place.rmdir()
            plugin.rmdir()
    with contextlib.suppress(FileNotFoundError):
        volumes.rmdir()


def release_subpaths(pod_dir: Path) -> None:
    """Unbind what sub-paths meant, before any driver is asked: a bind keeps a file system, and its disk, in use."""
    kernel.unmount_tree(pod_dir / "volume-subpaths")
    remove_tree(pod_dir / "volume-subpaths")


def _entries(directory: Path) -> list[Path]:
    try:
        return sorted(directory.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def remove_tree(path: Path) -> None:
    """Remove a directory and what is in it; mounts are not entered, and make it raise ``StillMounted``."""
    try:
        root = os.open(path, _DIRECTORY)
    except FileNotFoundError:
        return
    try:
        while (deep := _empty(root)) is not None:
            name, descriptor = deep
            os.rename(name, f"..{uuid.uuid4().hex}", src_dir_fd=descriptor, dst_dir_fd=root)
            os.close(descriptor)
    finally:
        os.close(root)
    try:
        path.rmdir()
    except OSError as error:
        raise StillMounted(error.errno, f"cannot remove {path}: {error.strerror}") from error


def _empty(root: int) -> tuple[str, int] | None:
    """Remove what is in an open directory; one that is too deep is handed back, with its open parent."""
    stack = [(root, "", -1)]
    deep = None
    while stack:
        directory, name, parent = stack[-1]
        child = _remove_files(directory)
        if child is not None and len(stack) >= DEPTH_MAX:
            deep = child, os.dup(directory)
            break
        if child is not None:
            stack.append((_enter(directory, child), child, directory))
            continue
        stack.pop()
        if parent >= 0:
            os.close(directory)
            os.rmdir(name, dir_fd=parent)
    for directory, _, parent in stack:
        if parent >= 0:
            os.close(directory)
    return deep


def _enter(directory: int, name: str) -> int:
    try:
        return kernel.open_beneath(directory, name, _DIRECTORY, _INSIDE)
    except OSError as error:
        if error.errno == errno.EXDEV:
            raise StillMounted(error.errno, f"something is mounted on {name}") from error
        raise


def _remove_files(directory: int) -> str | None:
    """Unlink all but directories; the name of one directory that is left, if any."""
    left = None
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                left = entry.name
            else:
                os.unlink(entry.name, dir_fd=directory)
    return left
