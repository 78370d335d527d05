"""Container logs as they lie on disk (conmon's k8s-file format), read the way ``kubectl logs`` asks.

A line is ``<RFC 3339 time> <stdout|stderr> <F|P> <text>``; ``P`` says that the text goes on in the next line. conmon
starts a log anew when it has grown to its limit, by renaming an empty file over it: whoever follows opens the new
one.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from picluster.api.meta import parse_time

POLL_S = 0.1
BLOCK_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class LogOptions:
    follow: bool = False
    tail_lines: int | None = None
    since_s: float | None = None
    """Nothing from before this epoch second."""
    timestamps: bool = False
    limit_bytes: int | None = None
    stream: str = "All"
    """``All``, ``Stdout`` or ``Stderr``."""


def render(line: bytes, options: LogOptions) -> bytes:
    """What the reader sees of one line of the file; nothing when it is not asked for or not whole."""
    parts = line.split(b" ", 3)
    if len(parts) < 4:
        return b""
    stamp, stream, tag, text = parts
    if options.stream != "All" and stream.decode() != options.stream.lower():
        return b""
    if options.since_s is not None and _epoch_s(stamp) < options.since_s:
        return b""
    if tag == b"P":
        text = text.removesuffix(b"\n")
    return stamp + b" " + text if options.timestamps else text


def _epoch_s(stamp: bytes) -> float:
    try:
        return parse_time(stamp.decode())
    except ValueError:
        return 0.0


def tail_offset(file: BinaryIO, lines: int) -> int:
    """Where the last ``lines`` lines begin."""
    end = file.seek(0, os.SEEK_END)
    if lines <= 0:
        return end
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
                return position + at + 1
    return 0


async def read(path: Path, options: LogOptions, running: Callable[[], bool]) -> AsyncIterator[bytes]:
    """Pieces of the log at ``path``; when following, until ``running`` says that nothing more comes."""
    left = options.limit_bytes
    async for piece in _pieces(path, options, running):
        if left is not None:
            piece = piece[:left]
            left -= len(piece)
        if piece:
            yield piece
        if left == 0:
            return


async def _pieces(path: Path, options: LogOptions, running: Callable[[], bool]) -> AsyncIterator[bytes]:
    file: BinaryIO = path.open("rb")
    try:
        if options.tail_lines is not None:
            file.seek(tail_offset(file, options.tail_lines))
        held = b""
        while True:
            more = running()
            lines = file.readlines(BLOCK_BYTES)
            if lines:
                lines[0], held = held + lines[0], b""
                if not lines[-1].endswith(b"\n"):
                    held = lines.pop()
                yield b"".join(render(line, options) for line in lines)
                await asyncio.sleep(0)
                continue
            if not options.follow or not more:
                return
            replaced = _replaced(file, path)
            if replaced is not None:
                file.close()
                file, held = replaced, b""
                continue
            await asyncio.sleep(POLL_S)
    finally:
        file.close()


def _replaced(file: BinaryIO, path: Path) -> BinaryIO | None:
    """The new file at ``path``, when it is another one than ``file``."""
    try:
        if path.stat().st_ino == os.fstat(file.fileno()).st_ino:
            return None
        return path.open("rb")
    except OSError:
        return None
