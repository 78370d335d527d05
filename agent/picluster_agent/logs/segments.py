"""The files of one container's log: the one that is written, and those that were before it.

``0.log`` is written; a rotation renames it to ``0.log.YYYYMMDD-HHMMSS``, which is compressed to ``….gz`` when the next
one comes, as the kubelet does it (``pkg/kubelet/logs/container_log_manager.go``). A compressed file keeps the time at
which its log was last written, so times tell the order also of files that were renamed meanwhile.
"""

from __future__ import annotations

import gzip
import io
import os
import zlib
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


class Cursor:
    """A place in a log: ``file`` is the one that is read. Names and inodes tell the order; a board's clock may jump."""

    def __init__(self, path: Path, since_s: float | None, tail_lines: int | None) -> None:
        """Begin at the oldest file, unless its lines are from before ``since_s`` (epoch), or before the last
        ``tail_lines``. Raises ``FileNotFoundError`` when there is none.
        """
        self._path = path
        listed = rotated(path)
        begun: tuple[IO[bytes], int] | None = None
        for index in range(len(listed), -1, -1):
            try:
                file = open_segment(listed[index] if index < len(listed) else path)
            except OSError:
                continue  # removed meanwhile
            if begun is not None and since_s is not None and os.fstat(file.fileno()).st_mtime < since_s:
                file.close()
                break
            try:
                offset = 0
                if tail_lines is not None:
                    offset, tail_lines = tail_start(file, tail_lines)
                file.seek(offset)
            except (OSError, EOFError, zlib.error):  # cut off by a loss of power
                file.close()
                continue
            if begun is not None:
                begun[0].close()
            begun = file, index
            if tail_lines == 0:
                break
        if begun is None:
            raise FileNotFoundError(path)
        self.file = begun[0]
        self._passed = {_name(one) for one in listed[: begun[1] + 1]}
        """The rotated files that are not to come any more."""

    def following(self) -> Path | None:
        """What comes after ``file``, which may have been rotated, and compressed, since it was opened."""
        own = os.fstat(self.file.fileno())
        for one in rotated(self._path):
            if _name(one) in self._passed:
                continue
            try:
                found = one.stat()
            except OSError:
                continue
            compressed = one.suffix == COMPRESSED and found.st_mtime_ns == own.st_mtime_ns
            if found.st_ino != own.st_ino and not compressed:
                return one
            self._passed.add(_name(one))
        try:
            return self._path if self._path.stat().st_ino != own.st_ino else None
        except OSError:
            return None

    def advance(self, path: Path) -> None:
        """Go on with ``path``, which was ``following``; one that is gone by now is passed over."""
        if path != self._path:
            self._passed.add(_name(path))
        try:
            file = open_segment(path)
        except OSError:
            return
        self.file.close()
        self.file = file


def _name(path: Path) -> str:
    return path.name.removesuffix(COMPRESSED)


def some_lines(file: IO[bytes]) -> list[bytes]:
    """The next lines, the last perhaps not whole; what a loss of power left unreadable counts as the end."""
    try:
        return file.readlines(BLOCK_BYTES)
    except (OSError, EOFError, zlib.error):
        return []


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
