"""Small files of an image, read from its layers on the disk: nothing is mounted, no container is made.

What a layer holds was written by strangers, so no link in it is followed.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from picluster.api.types import Object
from picluster_agent import kernel
from picluster_agent.podman.identity import Accounts

FILE_BYTES_MAX = 1 << 20
_OPAQUE = "trusted.overlay.opaque"


def of_inspect(inspected: Object) -> tuple[Path, ...]:
    """The image's layers, uppermost first, as Podman's storage driver tells of them (``overlay``, ``vfs``)."""
    data = (inspected.get("GraphDriver") or {}).get("Data") or {}
    places = [data.get("UpperDir") or data.get("dir") or "", *str(data.get("LowerDir") or "").split(":")]
    return tuple(Path(place) for place in places if place)


def accounts(layers: Sequence[Path]) -> Accounts:
    return Accounts(read(layers, "etc/passwd"), read(layers, "etc/group"))


def read(layers: Sequence[Path], path: str) -> str:
    """A file's text; nothing where there is no such plain file."""
    for layer in layers:
        try:
            directory = os.open(layer, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            return ""
        try:
            descriptor = kernel.open_beneath(directory, path, os.O_PATH | os.O_NOFOLLOW, kernel.RESOLVE_NO_SYMLINKS)
        except OSError as error:
            if error.errno != errno.ENOENT or _hides(directory, path):
                return ""
            continue
        finally:
            os.close(directory)
        return _text(descriptor)
    return ""


def _text(descriptor: int) -> str:
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):  # a whiteout is a device: the file was deleted
            return ""
        with open(f"/proc/self/fd/{descriptor}", "rb") as file:  # noqa: PTH123
            return file.read(FILE_BYTES_MAX).decode(errors="replace")
    finally:
        os.close(descriptor)


def _hides(directory: int, path: str) -> bool:
    """Whether the layer has nothing of the lower ones where ``path`` would be."""
    try:
        parent = kernel.open_beneath(directory, os.path.dirname(path), os.O_RDONLY, kernel.RESOLVE_NO_SYMLINKS)  # noqa: PTH120
    except OSError as error:
        return error.errno != errno.ENOENT
    try:
        return os.getxattr(parent, _OPAQUE) == b"y"
    except OSError:
        return False
    finally:
        os.close(parent)
