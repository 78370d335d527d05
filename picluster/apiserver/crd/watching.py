"""Watches of a version that a webhook makes: changes are gathered as they are stored, and converted before they go out.

The watcher writes frames of stored objects here instead of to the connection. One task takes what has gathered, asks
the webhook about all of it at once, and passes it on, in order. What waits counts as backlog, so that a slow webhook
ends a watch as a slow client does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import orjson

from picluster.api import errors
from picluster.api.resources import Resource
from picluster.api.types import Object
from picluster.apiserver.cache.watcher import Representation, Sink, error_frame, frame
from picluster.apiserver.crd.selectable import LateSelection
from picluster.apiserver.watching import Stage

CLOSE_TIMEOUT_S = 30.0
_CONVERTED = ("ADDED", "MODIFIED", "DELETED")

Fetch = Callable[[Sequence[bytes]], Awaitable[list[bytes]]]


class StoredForm:
    """Objects as they are stored, whatever version that is."""

    name = "stored"

    def one(self, wire: bytes) -> bytes:
        return wire

    bookmark = one


STORED = StoredForm()


def converting(
    resource: Resource, representation: Representation, fetch: Fetch, selection: LateSelection | None
) -> Stage:
    """The stage that shows stored objects as ``representation`` does, once ``fetch`` has converted them.

    ``selection`` says which of them, if that is known only then.
    """
    return lambda sink: Converting(sink, resource, representation, fetch, selection)


class Converting:
    def __init__(
        self,
        sink: Sink,
        resource: Resource,
        representation: Representation,
        fetch: Fetch,
        selection: LateSelection | None,
    ) -> None:
        self._selection = selection
        self._sink = sink
        self._resource = resource
        self._representation = representation
        self._fetch = fetch
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._more = asyncio.Event()
        self._closed = False
        self._task = asyncio.get_running_loop().create_task(self._pass_on(), name="converting watch")

    def write(self, data: bytes) -> None:
        if not self._task.done():
            self._waiting.append(data)
            self._waiting_bytes += len(data)
            self._more.set()

    def backlog_bytes(self) -> int:
        return self._waiting_bytes + self._sink.backlog_bytes()

    async def close(self) -> None:
        self._closed = True
        self._more.set()
        await asyncio.wait([self._task], timeout=CLOSE_TIMEOUT_S)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _pass_on(self) -> None:
        while self._waiting or not self._closed:
            await self._more.wait()
            self._more.clear()
            waiting, self._waiting = self._waiting, []
            if not waiting:
                continue
            try:
                data = await self._converted(b"".join(waiting))
            except errors.ApiError as error:
                self._sink.write(error_frame(error))
                return
            self._waiting_bytes -= sum(map(len, waiting))
            self._sink.write(data)

    async def _converted(self, data: bytes) -> bytes:
        events = [orjson.loads(payload) for payload in _payloads(data)]
        changed = [event for event in events if event["type"] in _CONVERTED]
        wires = iter(await self._fetch([orjson.dumps(event["object"]) for event in changed]))
        return b"".join([self._frame(event, wires) for event in events])

    def _frame(self, event: Object, wires: Any) -> bytes:
        if event["type"] in _CONVERTED:
            event_type, wire = event["type"], next(wires)
            if self._selection is not None:
                event_type = self._selection.meaning(event_type, orjson.loads(wire))
            return frame(event_type, self._representation.one(wire)) if event_type else b""
        if event["type"] == "BOOKMARK":
            event["object"] |= {"kind": self._resource.kind, "apiVersion": self._resource.api_version}
        return frame(event["type"], orjson.dumps(event["object"]))


def _payloads(data: bytes) -> list[bytes]:
    """What the chunks in ``data`` carry (RFC 9112, section 7.1)."""
    found = []
    at = 0
    while at < len(data):
        head = data.index(b"\r\n", at)
        size = int(data[at:head], 16)
        found.append(data[head + 2 : head + 2 + size])
        at = head + 2 + size + 2
    return found
