"""Container logs as they lie on disk (conmon's k8s-file format), read the way ``kubectl logs`` asks.

A line is ``<RFC 3339 time> <stdout|stderr> <F|P> <text>``; ``P`` says that the text goes on in the next line. A log is
several files (``segments``): whoever reads one to its end goes on with the next, and whoever follows is woken by the
directory, not by a clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from picluster.api.meta import parse_time
from picluster_agent import kernel
from picluster_agent.logs import segments

LOOK_AGAIN_S = 0.25
"""A reader that follows asks at least this often whether anything can come."""
POLL_S = 0.1
"""The same where the kernel gives no more watches."""
EVENTS_BYTES_MAX = 4096


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
    stamp, stream, _, _ = parts
    if options.stream != "All" and stream.decode() != options.stream.lower():
        return b""
    if options.since_s is not None and _epoch_s(stamp) < options.since_s:
        return b""
    text = said(line)[1]
    return stamp.replace(b"+00:00", b"Z") + b" " + text if options.timestamps else text


def said(line: bytes) -> tuple[bytes, bytes]:
    """The stream of one line of the file (``stdout``, ``stderr``), and the very bytes that were written to it."""
    parts = line.split(b" ", 3)
    if len(parts) < 4:
        return b"", b""
    _, stream, tag, text = parts
    return stream, text.removesuffix(b"\n") if tag == b"P" else text


def _epoch_s(stamp: bytes) -> float:
    try:
        return parse_time(stamp.decode())
    except ValueError:
        return 0.0


async def read(path: Path, options: LogOptions, running: Callable[[], bool]) -> AsyncIterator[bytes]:
    """Pieces of the log at ``path``; when following, until ``running`` says that nothing more comes."""
    left = options.limit_bytes
    async for batch in lines(path, options, running):
        piece = b"".join(render(line, options) for line in batch)
        if left is not None:
            piece = piece[:left]
            left -= len(piece)
        if piece:
            yield piece
        if left == 0:
            return


async def lines(path: Path, options: LogOptions, running: Callable[[], bool]) -> AsyncIterator[list[bytes]]:
    """Whole lines of the log's files, in the order in which they were written; raises ``FileNotFoundError``."""
    with _Changes(path.parent if options.follow else None) as changes:
        cursor = segments.Cursor(path, options.since_s, options.tail_lines)
        upcoming: Path | None = None
        held = b""
        try:
            while True:
                more = running()
                if found := segments.some_lines(cursor.file):
                    found[0], held = held + found[0], b""
                    if not found[-1].endswith(b"\n"):
                        held = found.pop()
                    yield found
                    await asyncio.sleep(0)
                elif upcoming is not None:  # this one is read to its end, and nothing is written to it any more
                    cursor.advance(upcoming)
                    upcoming, held = None, b""
                elif (upcoming := cursor.following()) is None:
                    if not options.follow or not more:
                        return
                    await changes.wait()
        finally:
            cursor.file.close()


class _Changes:
    """Wakes a reader when something in ``directory`` was written, within ``LOOK_AGAIN_S``."""

    def __init__(self, directory: Path | None) -> None:
        self._descriptor = -1
        self._changed = asyncio.Event()
        self._wait_s = LOOK_AGAIN_S
        if directory is None:
            return
        try:
            self._descriptor = kernel.watch_directory(directory)
        except OSError:
            self._wait_s = POLL_S

    def __enter__(self) -> _Changes:
        if self._descriptor >= 0:
            asyncio.get_running_loop().add_reader(self._descriptor, self._wake)
        return self

    def __exit__(self, *_: object) -> None:
        if self._descriptor >= 0:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._descriptor, EVENTS_BYTES_MAX)
        self._changed.set()

    async def wait(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._wait_s):
                await self._changed.wait()
        self._changed.clear()
