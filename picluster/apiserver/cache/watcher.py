"""One watch: decides what each change means to it, and hands frames to its sink without ever waiting.

A change becomes one frame (``{"type":…,"object":…}`` as one HTTP chunk) that all watchers of the same representation
share. Frames of one commit are joined to one write. A sink that has fallen behind by more than ``BACKLOG_MAX_BYTES``,
or a watcher not live yet that has gathered as much, is dropped with 410, so that its client lists again: nobody waits
for a slow reader.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

import orjson

from picluster.api import errors
from picluster.apiserver.cache.history import Change
from picluster.apiserver.cache.index import Entry
from picluster.apiserver.cache.selection import Selection

BACKLOG_MAX_BYTES = 8 << 20

Frames = dict[tuple[str, str], bytes]
"""The frames of one change, by event type and the representation's name."""


class Representation(Protocol):
    """How one object goes over the wire; representations of one name give the same bytes."""

    @property
    def name(self) -> str: ...

    def one(self, wire: bytes) -> bytes: ...

    def bookmark(self, body: bytes) -> bytes:
        """The same for a bookmark, of which there is nothing but metadata."""
        ...


class Sink(Protocol):
    """Where a live watcher's bytes go."""

    def write(self, data: bytes) -> None: ...

    def backlog_bytes(self) -> int: ...


def frame(event_type: str, body: bytes) -> bytes:
    """One watch event, as one chunk of the chunked transfer coding (RFC 9112, section 7.1)."""
    head = b'{"type":"%b","object":' % event_type.encode()
    return b"".join((b"%x\r\n" % (len(head) + len(body) + 2), head, body, b"}\n\r\n"))


class Watcher:
    """Registered with a ``Collection``; ``ended`` is done when it is over, ``dropped`` says that it was too slow."""

    __slots__ = (
        "_live", "_pending", "_pending_bytes", "_sink", "bookmarks", "dropped", "ended", "representation", "selection",
    )  # fmt: skip

    def __init__(self, selection: Selection, representation: Representation, sink: Sink, *, bookmarks: bool) -> None:
        self.selection = selection
        self.representation = representation
        self.bookmarks = bookmarks
        self.dropped = False
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sink = sink
        self._live = False
        self._pending: list[bytes] = []
        self._pending_bytes = 0

    def offer(self, change: Change, frames: Frames) -> bool:
        """Take a change in; returns whether there is something new to flush."""
        event_type, entry = self._meaning(change)
        if entry is None or self.ended.done():
            return False
        key = (event_type, self.representation.name)
        data = frames.get(key)
        if data is None:
            data = frames[key] = render(event_type, entry, change.revision, self.representation)
        self._pending.append(data)
        self._pending_bytes += len(data)
        return True

    def shown(self, change: Change) -> bytes:
        """The frame of a change of the past; empty when it means nothing here."""
        event_type, entry = self._meaning(change)
        return render(event_type, entry, change.revision, self.representation) if entry is not None else b""

    def offer_frame(self, data: bytes) -> None:
        """Queue a frame that is no change: a bookmark."""
        self._pending.append(data)
        self._pending_bytes += len(data)

    def flush(self) -> None:
        """Hand what has gathered to the sink; until ``go_live`` it only gathers."""
        if self._pending_bytes + (self._sink.backlog_bytes() if self._live else 0) > BACKLOG_MAX_BYTES:
            self._drop()
        elif self._live and self._pending:
            data = self._pending[0] if len(self._pending) == 1 else b"".join(self._pending)
            self._pending = []
            self._pending_bytes = 0
            self._sink.write(data)

    def go_live(self) -> None:
        """The initial state has been written: from now on changes go out at once."""
        self._live = True
        self.flush()

    def end(self) -> None:
        """No more changes: its time is over, its client has gone, or the server stops."""
        if not self.ended.done():
            self.ended.set_result(None)

    def _drop(self) -> None:
        self._pending = []
        self._pending_bytes = 0
        self.dropped = True
        self._sink.write(error_frame(errors.expired("the watch fell too far behind: list again")))
        self.end()

    def _meaning(self, change: Change) -> tuple[str, Entry | None]:
        """The event type, and the entry whose object goes with it; no entry when it means nothing here."""
        old, new, match = change.old, change.new, self.selection.match
        if match is not None:
            old = old if old is not None and match(old) else None
            new = new if new is not None and match(new) else None
        if new is not None:
            return ("ADDED" if old is None else "MODIFIED"), new
        return "DELETED", old


def render(event_type: str, entry: Entry, revision: int, representation: Representation) -> bytes:
    """The frame of a change; a deletion shows the last state under the revision of the deletion."""
    wire = entry.wire if entry.revision == revision else respliced(entry.wire, revision)
    return frame(event_type, representation.one(wire))


def respliced(wire: bytes, revision: int) -> bytes:
    """The same object under another revision."""
    start = wire.index(b'":"') + 3
    end = wire.index(b'"', start)
    return b"%b%d%b" % (wire[:start], revision, wire[end:])


def error_frame(error: errors.ApiError) -> bytes:
    return frame("ERROR", orjson.dumps(error.status()))
