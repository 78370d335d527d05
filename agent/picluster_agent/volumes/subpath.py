"""A path inside a volume, opened so that a container cannot lead it astray.

A container that shares the volume may swap a directory for a link at any moment. So nothing is checked by name: the
kernel resolves the path once, below the volume (``openat2`` with ``RESOLVE_BENEATH``: links are followed, never out of
it), and what it opened, not the name, is bound to a place of ours that the container is started with. The kubelet does
the same with one ``openat`` per component (``pkg/volume/util/subpath/subpath_linux.go``).
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path

from picluster_agent import kernel

_OUT = (errno.EXDEV, errno.ELOOP)


class SubPathError(Exception):
    """The path leads out of its volume, or cannot be made."""


def open_inside(volume: Path, inner: str) -> int:
    """A descriptor (``O_PATH``) of ``inner``; a directory is made where nothing is, with the volume's mode."""
    root = os.open(volume, os.O_PATH | os.O_CLOEXEC)
    try:
        return _open(root, inner, volume)
    except OSError as error:
        if error.errno in _OUT:
            raise SubPathError(f"subpath {inner!r} not within volume path {str(volume)!r}") from error
        raise SubPathError(f"cannot open subpath {inner!r}: {error.strerror}") from error
    finally:
        os.close(root)


def _open(root: int, inner: str, volume: Path) -> int:
    try:
        return kernel.open_beneath(root, inner, os.O_PATH)
    except FileNotFoundError:
        pass
    mode = stat.S_IMODE(os.fstat(root).st_mode)
    return _make(root, [part for part in Path(inner).parts if part != "."], mode)


def _make(root: int, parts: list[str], mode: int) -> int:
    """Make what is missing, one directory after the other, each below the one that was opened before."""
    depth = _present(root, parts)
    directory = kernel.open_beneath(root, "/".join(parts[:depth]) or ".", os.O_PATH | os.O_DIRECTORY)
    for part in parts[depth:]:
        try:
            with contextlib.suppress(FileExistsError):  # made by another, or a link that leads nowhere: not followed
                os.mkdir(part, dir_fd=directory)
            below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
            os.fchmod(below, mode)
        finally:
            os.close(directory)
        directory = below
    return directory


def _present(root: int, parts: list[str]) -> int:
    """How many of the first components are there."""
    for depth in range(len(parts), 0, -1):
        try:
            os.close(kernel.open_beneath(root, "/".join(parts[:depth]), os.O_PATH))
        except FileNotFoundError:
            continue
        return depth
    return 0


def bind(descriptor: int, place: Path, *, recursive_read_only: bool = False) -> None:
    """Mount what a descriptor stands for at ``place``, instead of what an earlier start mounted there."""
    kernel.unmount_tree(place)
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
    _target(place, stat.S_ISDIR(os.fstat(descriptor).st_mode))
    if recursive_read_only:
        kernel.bind_read_only(descriptor, place)
    else:
        kernel.bind(descriptor, place)


def _target(place: Path, directory: bool) -> None:
    """An empty directory, or an empty file, to mount on."""
    if place.exists() and place.is_dir() != directory:
        place.rmdir() if place.is_dir() else place.unlink()
    if directory:
        place.mkdir(mode=0o750, exist_ok=True)
    else:
        place.touch(mode=0o640)
