"""WATCH: the stream of one watcher, from its first event to its last.

Whatever is wrong with a resourceVersion is told as an ERROR event in the stream, as Kubernetes does; what is wrong with
the request itself is a plain refusal before it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Protocol

from aiohttp import web

from picluster.api import errors
from picluster.api.resources import Resource
from picluster.apiserver.answers import warn
from picluster.apiserver.cache.selection import select
from picluster.apiserver.cache.watchcache import WatchCache
from picluster.apiserver.cache.watcher import Representation, Sink, Watcher, error_frame, frame
from picluster.apiserver.connection import Connection, connection_of
from picluster.apiserver.flowcontrol.controller import Seat
from picluster.apiserver.listing import resource_version, wait_until_fresh
from picluster.apiserver.requestinfo import Query, flag, number, validate_list_options

TIMEOUT_MIN_S = 1800
INITIAL_WRITE_BYTES = 256 << 10
HEADERS = {"Content-Type": "application/json", "Cache-Control": "no-cache, private"}


class TransportSink:
    """Writes to the connection without waiting; the transport buffers what the client has not taken."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def write(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)

    def backlog_bytes(self) -> int:
        return 0 if self._transport.is_closing() else self._transport.get_write_buffer_size()


class LateSink(Sink, Protocol):
    """A sink that passes on later; ``close`` waits until it has, or until nobody takes it any more."""

    async def close(self) -> None: ...


Stage = Callable[[Sink], LateSink]


async def serve_watch(
    cache: WatchCache,
    request: web.BaseRequest,
    resource: Resource,
    namespace: str,
    query: Query,
    representation: Representation,
    seat: Seat | None = None,
    stage: Stage | None = None,
    warnings: Sequence[str] = (),
) -> web.StreamResponse:
    """Serve one watch until it ends; raises ``ApiError`` for a request that makes no sense.

    ``seat`` is given back when everything from before has been sent. ``stage`` stands between the watcher and the
    connection, for what has to be asked before it is sent.
    """
    validate_list_options(query, watching=True)
    selection = select(resource, namespace, query.get("labelSelector", ""), query.get("fieldSelector", ""))
    bookmarks, wanted = flag(query, "allowWatchBookmarks"), resource_version(query)
    timeout_s = number(query, "timeoutSeconds") or TIMEOUT_MIN_S * (1 + random.random())  # noqa: S311
    connection, transport = connection_of(request), request.transport
    response = web.StreamResponse(headers=HEADERS)
    if seat is not None:
        response.headers.update(seat.flow.headers)
    if warnings:
        warn(response.headers, warnings)
    response.enable_chunked_encoding()
    await response.prepare(request)
    if transport is None:
        return response
    plain, collection = TransportSink(transport), cache.collection(resource)
    late = None if stage is None else stage(plain)
    sink = late or plain
    watcher = Watcher(selection, representation, sink, bookmarks=bookmarks)
    forget = connection.on_lost(watcher.end)
    timer = asyncio.get_running_loop().call_later(timeout_s, watcher.end)
    try:
        frames = await _begin(cache, resource, watcher, query, wanted)
        await _write_initial(frames, sink, connection, watcher)
        watcher.go_live()
        if seat is not None:
            seat.free()
        await watcher.ended
        if bookmarks:
            _last_bookmark(cache, resource, watcher)
    except errors.ApiError as error:
        sink.write(error_frame(error))
    finally:
        collection.unwatch(watcher)
        timer.cancel()
        forget()
        if late is not None:
            await late.close()
    if watcher.dropped:
        response.force_close()
        connection.force_close()
    elif not transport.is_closing():
        await response.write_eof()
    return response


async def _begin(cache: WatchCache, resource: Resource, watcher: Watcher, query: Query, wanted: int) -> Iterator[bytes]:
    """Register the watcher and give what comes before its first live event, with nothing in between."""
    collection = cache.collection(resource)
    initial = flag(query, "sendInitialEvents") if "sendInitialEvents" in query else wanted == 0
    if initial and wanted > 0:
        await wait_until_fresh(cache, wanted)
    if initial:
        entries = list(collection.select(watcher.selection))
        collection.watch(watcher)
        collection.sent += len(entries)
        added = (frame("ADDED", watcher.representation.one(entry.wire)) for entry in entries)
        if not (watcher.bookmarks and "sendInitialEvents" in query):
            return added
        return chain(added, [cache.bookmark(resource, watcher.representation, initial_end=True)])
    if wanted > 0:
        missed = collection.changes(watcher.selection, wanted)
        collection.watch(watcher)
        return (data for change in missed if (data := watcher.shown(change)))
    collection.watch(watcher)
    return iter(())


async def _write_initial(frames: Iterator[bytes], sink: Sink, connection: Connection, watcher: Watcher) -> None:
    """Write at the client's pace; the watcher gathers what happens meanwhile."""
    batch: list[bytes] = []
    size = 0
    for data in frames:
        batch.append(data)
        size += len(data)
        if size >= INITIAL_WRITE_BYTES:
            sink.write(b"".join(batch))
            batch, size = [], 0
            await connection.drained()
            if watcher.ended.done():
                return
    if batch:
        sink.write(b"".join(batch))


def _last_bookmark(cache: WatchCache, resource: Resource, watcher: Watcher) -> None:
    """Before its time is over, tell the client up to where it need not ask again."""
    if not watcher.dropped:
        watcher.offer_frame(cache.bookmark(resource, watcher.representation))
        watcher.flush()
