"""A directory whose files change together: the ``..data`` swap that the kubelet's atomic writer does.

    config.yaml -> ..data/config.yaml
    ..data      -> ..2026_01_02_03_04_05.123456789      (renamed over in one step)

A container that re-reads its files, or watches ``..data``, sees one version or the next. A crash at any line leaves the
old version in place and at most some dotted rubbish, which the next write removes.
"""

from __future__ import annotations

import os
import shutil
import stat
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

DATA = "..data"
NEW_DATA = "..data_tmp"


@dataclass(frozen=True, slots=True)
class File:
    """Content and permission bits of one file; ``uid`` owns it where that is not root."""

    data: bytes
    mode: int = 0o644
    uid: int = -1


def write(directory: Path, payload: Mapping[str, File], *, gid: int = -1) -> bool:
    """Make ``directory`` hold exactly ``payload`` (relative path to file); whether anything had to change.

    ``gid`` is the pod's ``fsGroup``: it owns the files and may read them.
    """
    for path in payload:
        _check(path)
    current = directory / DATA
    if current.is_dir() and _same(current, payload, gid):
        _clean(directory, keep=str(current.readlink()))
        return False
    stamp = time.strftime("..%Y_%m_%d_%H_%M_%S", time.gmtime()) + f".{uuid.uuid4().int % 10**9:09d}"
    fresh = directory / stamp
    fresh.mkdir(mode=0o755)
    for path, file in payload.items():
        _create(fresh, path, file, gid)
    if gid >= 0:
        for place in (directory, fresh, *(one for one in fresh.rglob("*") if one.is_dir())):
            os.chown(place, -1, gid)
            place.chmod(stat.S_IMODE(place.stat().st_mode) | stat.S_ISGID | 0o550)
    temporary = directory / NEW_DATA
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(stamp)
    temporary.rename(current)
    _link(directory, {PurePosixPath(path).parts[0] for path in payload})
    _clean(directory, keep=stamp)
    return True


def _check(path: str) -> None:
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or parts[0].startswith(".."):
        raise ValueError(f"a volume file must be inside its volume: {path!r}")


def _create(root: Path, path: str, file: File, gid: int) -> None:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    mode = _mode(file, gid)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as stream:  # noqa: PTH123 - a descriptor with its own creation mode
        stream.write(file.data)
        if gid >= 0 or file.uid >= 0:
            os.fchown(stream.fileno(), file.uid, gid)
        os.fchmod(stream.fileno(), mode)


def _mode(file: File, gid: int) -> int:
    return file.mode | 0o440 if gid >= 0 else file.mode


def _same(current: Path, payload: Mapping[str, File], gid: int) -> bool:
    present = {str(path.relative_to(current)): path for path in current.rglob("*") if path.is_file()}
    if set(present) != {str(PurePosixPath(path)) for path in payload}:
        return False
    for path, file in payload.items():
        one = present[str(PurePosixPath(path))]
        found = one.stat()
        if found.st_mode & 0o7777 != _mode(file, gid) or found.st_size != len(file.data):
            return False
        if one.read_bytes() != file.data:
            return False
    return True


def _link(directory: Path, names: Iterable[str]) -> None:
    """Make the visible links exactly ``names``."""
    wanted = set(names)
    for entry in list(directory.iterdir()):
        if not entry.name.startswith("..") and entry.name not in wanted and entry.is_symlink():
            entry.unlink()
    for name in wanted:
        link = directory / name
        if not link.is_symlink():
            link.symlink_to(f"{DATA}/{name}")


def _clean(directory: Path, keep: str) -> None:
    """Remove versions that no link names any more."""
    for entry in list(directory.iterdir()):
        if entry.name.startswith("..") and entry.name not in (DATA, keep):
            if entry.is_symlink():
                entry.unlink()
            else:
                shutil.rmtree(entry)
