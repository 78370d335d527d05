"""A watch stream as events: one JSON object per line, an ``ERROR`` event raised, every line bounded.

The framing is the API conventions' ("Efficient detection of changes"): ``{"type": …, "object": …}`` and a newline.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, NamedTuple, Protocol

import orjson

from picluster.api.errors import ApiError
from picluster.api.types import Object

ADDED = "ADDED"
MODIFIED = "MODIFIED"
DELETED = "DELETED"
BOOKMARK = "BOOKMARK"
ERROR = "ERROR"

LINE_BYTES_MAX = 8 << 20
"""An object is at most 3 MiB as a request; a line beyond this is not a watch event of anybody's."""


class WatchEvent(NamedTuple):
    """``type`` is ADDED, MODIFIED, DELETED or BOOKMARK; a bookmark's object has its resourceVersion and little more."""

    type: str
    object: Object


class MalformedStream(Exception):
    """What came is not a watch stream."""


class Chunks(Protocol):
    async def readany(self) -> bytes:
        """Whatever has arrived; empty at the end."""
        ...


async def lines(chunks: Chunks, line_bytes_max: int = LINE_BYTES_MAX) -> AsyncIterator[list[bytes]]:
    """The complete lines of each arrival; an unfinished last line is dropped with the connection that broke it."""
    rest = bytearray()
    while chunk := await chunks.readany():
        head, newline, tail = chunk.rpartition(b"\n")
        if not newline:
            rest += chunk
        elif rest:
            rest += head
            complete = bytes(rest).split(b"\n")
            rest = bytearray(tail)
            yield complete
        else:
            rest += tail
            yield head.split(b"\n")
        if len(rest) > line_bytes_max:
            raise MalformedStream(f"a line of the watch is longer than {line_bytes_max} bytes")


def decode(line: bytes) -> WatchEvent:
    """The event in ``line``. Raises ``ApiError`` for an ERROR event, ``MalformedStream`` for anything else."""
    try:
        event: Any = orjson.loads(line)
        kind, obj = event["type"], event["object"]
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise MalformedStream(f"a line of the watch is no event: {line[:80]!r}") from error
    if kind == ERROR:
        raise ApiError.from_status(obj, 500)
    return WatchEvent(kind, obj)
