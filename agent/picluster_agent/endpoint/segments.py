"""The files of one container's log: the one that is written, and those that were before it.

``0.log`` is written; a rotation renames it to ``0.log.YYYYMMDD-HHMMSS``, which is compressed to ``….gz`` when the next
one comes, as the kubelet does it (``pkg/kubelet/logs/container_log_manager.go``). A compressed file keeps the time at
which its log was last written, so times tell the order also of files that were renamed meanwhile.
"""

from __future__ import annotations

import gzip
import io
import os
from pathlib import Path
from typing import IO, cast

COMPRESSED = ".gz"
TEMPORARY = ".tmp"
BLOCK_BYTES = 64 << 10


def rotated(path: Path) -> list[Path]:
    """The rotated files of the log at ``path``, the oldest first."""
    prefix = f"{path.name}."
    try:
        names = {entry.name for entry in os.scandir(path.parent) if entry.name.startswith(prefix)}
    except OSError:
        return []
    whole = sorted(name for name in names if not name.endswith(TEMPORARY))
    return [path.with_name(name) for name in whole if name.removesuffix(COMPRESSED) == name or name[:-3] not in names]


def exists(path: Path) -> bool:
    return path.exists() or bool(rotated(path))


def open_segment(path: Path) -> IO[bytes]:
    """Open a file of a log; one that was compressed since it was listed is found as well."""
    if path.suffix == COMPRESSED:
        return cast("IO[bytes]", gzip.open(path, "rb"))
    try:
        return path.open("rb")
    except FileNotFoundError:
        return cast("IO[bytes]", gzip.open(f"{path}{COMPRESSED}", "rb"))


def begin(path: Path, since_s: float | None, tail_lines: int | None) -> IO[bytes]:
    """The file where reading begins, positioned: the oldest, unless its lines are from before ``since_s`` (epoch), or
    before the last ``tail_lines``. Raises ``FileNotFoundError`` when there is none.
    """
    best: IO[bytes] | None = None
    for one in reversed([*rotated(path), path]):
        try:
            file = open_segment(one)
            if best is not None and since_s is not None and os.fstat(file.fileno()).st_mtime < since_s:
                file.close()
                break
            offset = 0
            if tail_lines is not None:
                offset, tail_lines = tail_start(file, tail_lines)
            file.seek(offset)
        except (OSError, EOFError):
            continue  # removed meanwhile, or cut off by a loss of power
        if best is not None:
            best.close()
        best = file
        if tail_lines == 0:
            break
    if best is None:
        raise FileNotFoundError(path)
    return best


def following(path: Path, file: IO[bytes]) -> Path | None:
    """What comes after ``file``, a file of the log at ``path`` that may have been rotated since it was opened."""
    own = os.fstat(file.fileno())
    for one in (*rotated(path), path):
        try:
            found = one.stat()
        except OSError:
            continue
        if found.st_ino != own.st_ino and (one == path or found.st_mtime_ns > own.st_mtime_ns):
            return one
    return None


def tail_start(file: IO[bytes], lines: int) -> tuple[int, int]:
    """Where the last ``lines`` lines of a file begin, and how many of them it does not have."""
    if not isinstance(file, io.BufferedReader):
        return _tail_start_forwards(file, lines)
    end = file.seek(0, os.SEEK_END)
    if lines <= 0:
        return end, 0
    position, missing = end, lines + 1
    while position > 0:
        size = min(BLOCK_BYTES, position)
        position -= size
        file.seek(position)
        block = file.read(size)
        if position + size == end and not block.endswith(b"\n"):
            missing -= 1
        at = len(block)
        while (at := block.rfind(b"\n", 0, at)) >= 0:
            missing -= 1
            if missing == 0:
                return position + at + 1, 0
    return 0, missing - 1 if end else lines


def _tail_start_forwards(file: IO[bytes], lines: int) -> tuple[int, int]:
    """A compressed file can only be read from its beginning: once to count, once to find."""
    count = 0
    while block := file.read(BLOCK_BYTES):
        count += block.count(b"\n")
    surplus = count - lines
    if surplus <= 0:
        return 0, -surplus
    file.seek(0)
    offset = 0
    while block := file.read(BLOCK_BYTES):
        found = block.count(b"\n")
        if found >= surplus:
            at = -1
            for _ in range(surplus):
                at = block.index(b"\n", at + 1)
            return offset + at + 1, 0
        surplus -= found
        offset += len(block)
    return offset, 0
