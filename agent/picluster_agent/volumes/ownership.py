"""fsGroup: the pod's group owns a volume and may read and write what is in it (``pkg/volume/volume_linux.go``).

Applied to volumes that are the pod's (emptyDir) or one writer's (ReadWriteOnce); never to a node's own directory or to
a share that others use.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from picluster.api.types import Object

READ_WRITE = 0o660
READ_ONLY = 0o440
TRAVERSE = 0o110


def fs_group(pod: Object) -> int:
    """The pod's fsGroup, -1 without one."""
    group = (pod["spec"].get("securityContext") or {}).get("fsGroup")
    return -1 if group is None else int(group)


def only_on_mismatch(pod: Object) -> bool:
    return (pod["spec"].get("securityContext") or {}).get("fsGroupChangePolicy") == "OnRootMismatch"


def apply(root: Path, gid: int, *, read_only: bool = False, only_mismatch: bool = False) -> None:
    """Give a volume to ``gid``, all of it, or nothing of it where its root is right already and that suffices."""
    if gid < 0 or (only_mismatch and _matches(root, gid, read_only)):
        return
    for directory, names, files in os.walk(root, topdown=False):
        for name in (*names, *files):
            _own(os.path.join(directory, name), gid, read_only)  # noqa: PTH118 - a million paths, perhaps
    _own(os.fspath(root), gid, read_only)  # the root is last: what was broken off is begun again


def _wanted(mode: int, read_only: bool) -> int:
    mask = READ_ONLY if read_only else READ_WRITE
    return mode | mask | ((stat.S_ISGID | TRAVERSE) if stat.S_ISDIR(mode) else 0)


def _matches(root: Path, gid: int, read_only: bool) -> bool:
    found = root.stat()
    return found.st_gid == gid and stat.S_IMODE(_wanted(found.st_mode, read_only)) == stat.S_IMODE(found.st_mode)


def _own(path: str, gid: int, read_only: bool) -> None:
    """A link's own owner is changed, never what it points to."""
    found = os.lstat(path)
    if found.st_gid != gid:
        os.lchown(path, -1, gid)
    if stat.S_ISLNK(found.st_mode):
        return
    wanted = stat.S_IMODE(_wanted(found.st_mode, read_only))
    if wanted != stat.S_IMODE(found.st_mode) or found.st_gid != gid:  # a new owner takes the set-id bits away
        os.chmod(path, wanted)  # noqa: PTH101
