"""The highly available store: etcd, with several API servers on it if need be.

A write is one guarded transaction, so its revision is etcd's own. Everything that is applied comes from one watch over
all our keys, whoever wrote them, in revision order; a writer hears of its success when the watch has brought it back.
That keeps the contract (applied before acknowledged) also for what other servers write.

When a call ends without an answer nobody knows whether it was carried out. It is sent again under the same guard: if
the key now holds the very value, at a later revision, the first one was. After ``ANSWER_TIMEOUT_S`` the writer is told
that the outcome is unknown.

A broken watch goes on behind the last event that was applied. If etcd has compacted that away meanwhile, the live keys
are listed and the difference is applied, deletions at the revision of the list.

At a start a marker is written through the watch: what comes before it is history, what comes after it is news, and
the keys are read as they were at the marker.

A restored store goes on above the revisions it had where it was saved, though a new etcd counts from 1: the offset is
a key of its own, and every revision outside of this module has it added.

Heartbeats are written like everything else, since the other servers
must see them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import grpc
from aetcd import rpc
from grpc import aio

from picluster.storage import etcdwire
from picluster.storage.backend import Apply, Event, Record, RevisionMismatch, Snapshot, StorageError
from picluster.storage.etcdwire import CALL_TIMEOUT_S, MARKER, MARKS, OFFSET, EtcdConfig
from picluster.util.backoff import Backoff
from picluster.util.timings import Timings

log = logging.getLogger(__name__)

HISTORY_MAX = 10_000
HISTORY_SLACK = 1_000
"""Revisions of other users of the same etcd that may lie between ours before the history gets shorter."""
ANSWER_TIMEOUT_S = 10.0
IN_FLIGHT_MAX = 256


class EtcdBackend:
    """``Backend`` on the etcd that ``config`` names."""

    def __init__(self, config: EtcdConfig) -> None:
        self._config = config
        self._prefix = config.prefix.encode()
        self._channel: aio.Channel | None = None
        self._kv: rpc.KVStub
        self._apply: Apply | None = None
        self._follower: asyncio.Task[None] | None = None
        self._offset = 0
        self._revision = 0
        self._compacted = 0
        self._known: dict[str, int] = {}
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._slots = asyncio.Semaphore(IN_FLIGHT_MAX)
        self._writing: set[asyncio.Task[int]] = set()
        self._closing = False
        self._size_bytes = 0
        self.timings = Timings(
            "etcd_request_duration_seconds", "Time that requests to etcd took.", ("group", "operation", "resource")
        )

    @property
    def size_bytes(self) -> int:
        """What the member that answers said at the last compaction."""
        return self._size_bytes

    async def start(self, apply: Apply) -> Snapshot:
        if self._channel is not None:
            raise StorageError(f"{self._config} is in use already: close it first")
        self._channel = etcdwire.channel(self._config)
        self._kv = rpc.KVStub(self._channel)
        self._apply, self._closing = apply, False
        try:
            with etcdwire.explained(self._config):
                return await self._load()
        except BaseException:
            await self.close()
            raise

    async def put(self, key: str, value: bytes, expected: int, *, durable: bool = True) -> int:
        return await self._write(key, value, expected)

    async def delete(self, key: str, expected: int) -> int:
        if expected == 0:
            raise RevisionMismatch(key, expected, await self._revision_of(key))
        return await self._write(key, None, expected)

    async def compact(self, revision: int) -> None:
        revision = min(revision, self._revision)
        if revision - self._offset <= 0 or revision <= self._compacted or self._channel is None:
            return
        request = rpc.CompactionRequest(revision=revision - self._offset)
        with etcdwire.explained(self._config):
            try:
                await self._kv.Compact(request, timeout=CALL_TIMEOUT_S)
            except aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.OUT_OF_RANGE:  # another server has compacted further
                    raise
        self._compacted = revision
        await self._measure(self._channel)

    async def _measure(self, channel: aio.Channel) -> None:
        """Ask how large the database is; who may not know goes on with what was known."""
        try:
            status = await rpc.MaintenanceStub(channel).Status(rpc.StatusRequest(), timeout=CALL_TIMEOUT_S)
        except aio.AioRpcError as error:
            log.debug("the size of %s is not known: %s", self._config, error.code())
        else:
            self._size_bytes = int(status.dbSize)

    async def close(self) -> None:
        self._closing = True
        if self._writing:
            await asyncio.wait(self._writing, timeout=ANSWER_TIMEOUT_S)
        if self._follower is not None:
            self._follower.cancel()
            await asyncio.gather(self._follower, return_exceptions=True)
            self._follower = None
        for waiting in self._waiting.values():
            waiting.cancel()
        self._waiting.clear()
        self._known.clear()
        if self._channel is not None:
            await self._channel.close()
            self._channel = None

    # Writing

    async def _write(self, key: str, value: bytes | None, expected: int) -> int:
        """A task of its own, so that a caller who goes away cannot leave a write half known."""
        if self._channel is None or self._closing:
            raise StorageError(f"{self._config} is closed: the server is stopping or was not started")
        task = asyncio.get_running_loop().create_task(self._write_slotted(key, value, expected))
        self._writing.add(task)
        task.add_done_callback(self._written)
        return await asyncio.shield(task)

    def _written(self, task: asyncio.Task[int]) -> None:
        self._writing.discard(task)
        if not task.cancelled():
            task.exception()  # its caller may have gone

    async def _write_slotted(self, key: str, value: bytes | None, expected: int) -> int:
        plural, _, group = key.partition("/")[0].partition(".")
        timing = self.timings.labels(group, "delete" if value is None else "update" if expected else "create", plural)
        async with self._slots:
            started_s = time.perf_counter()
            try:
                revision = await self._write_once_known(key, value, expected)
            finally:
                timing.observe(time.perf_counter() - started_s)
        await self._applied(revision)
        return revision

    async def _write_once_known(self, key: str, value: bytes | None, expected: int) -> int:
        request = etcdwire.guarded(self._prefix + key.encode(), value, expected and expected - self._offset)
        answer, repeated = await self._answered(lambda: self._kv.Txn(request, timeout=CALL_TIMEOUT_S))
        if answer.succeeded:
            return int(answer.header.revision) + self._offset
        actual, present = etcdwire.found(answer)
        actual = actual and actual + self._offset
        if repeated and actual > expected and value is not None and present == value:
            return actual
        if repeated and actual == 0 and value is None:
            return await self._mark()  # the deletion's own is not known; this one comes after it
        raise RevisionMismatch(key, expected, actual)

    async def _answered(self, call: Callable[[], Awaitable[Any]]) -> tuple[Any, bool]:
        """The answer, and whether more than one request may have been carried out."""
        clock, backoff, repeated = asyncio.get_running_loop().time, Backoff(0.05, 1.0), False
        deadline_s = clock() + ANSWER_TIMEOUT_S
        with etcdwire.explained(self._config):
            while True:
                try:
                    return await call(), repeated
                except aio.AioRpcError as error:
                    if error.code() not in etcdwire.RETRIED or clock() >= deadline_s:
                        raise
                repeated = True
                await asyncio.sleep(backoff.next_s())

    async def _revision_of(self, key: str) -> int:
        if self._channel is None:
            raise StorageError(f"{self._config} is closed: the server is stopping or was not started")
        request = rpc.RangeRequest(key=self._prefix + key.encode(), keys_only=True)
        answer, _ = await self._answered(lambda: self._kv.Range(request, timeout=CALL_TIMEOUT_S))
        return answer.kvs[0].mod_revision + self._offset if answer.kvs else 0

    async def _applied(self, revision: int) -> None:
        """Wait until the watch has brought ``revision``."""
        if revision <= self._revision:
            return
        waiting = self._waiting.get(revision)
        if waiting is None:
            waiting = self._waiting[revision] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await asyncio.shield(waiting)
        except TimeoutError:
            raise StorageError(
                f"{self._config}: the write is done, but its watch event has not come in {ANSWER_TIMEOUT_S:.0f} s"
            ) from None

    # Loading

    async def _load(self) -> Snapshot:
        head = rpc.RangeRequest(key=self._prefix + OFFSET.encode())
        now, _ = await self._answered(lambda: self._kv.Range(head, timeout=CALL_TIMEOUT_S))
        self._offset = int(now.kvs[0].value) if now.kvs else 0
        begin = max(1, now.header.revision - HISTORY_MAX - HISTORY_SLACK) + self._offset
        stream = self._watch(begin)
        marker: asyncio.Task[int] = asyncio.create_task(self._mark())
        history: deque[Event] = deque(maxlen=HISTORY_MAX)
        try:
            compacted, rest = await self._read_history(stream, marker, history, begin - 1)
            marked = await marker
        finally:
            marker.cancel()
        records = [record async for record in self._read_live(marked)]
        self._revision, self._compacted = marked, compacted
        self._known = {record.key: record.revision for record in records}
        self._follower = asyncio.create_task(self._follow(stream, rest))
        return Snapshot(marked, compacted, sorted(records, key=lambda record: record.revision), list(history))

    async def _mark(self) -> int:
        request = rpc.PutRequest(key=self._prefix + MARKER.encode(), value=b"")
        answer = await self._kv.Put(request, timeout=CALL_TIMEOUT_S)
        return int(answer.header.revision) + self._offset

    async def _read_history(
        self, stream: AsyncIterator[Sequence[rpc.Event]], marker: asyncio.Task[int], history: deque[Event], floor: int
    ) -> tuple[int, list[Event]]:
        """What came before the marker goes into ``history``; where that begins, and what came with the marker."""
        compacted = floor
        async for events in stream:
            if isinstance(events, int):
                compacted = events
                continue
            marked = 0
            for event in self._ours(events):
                if event.key == MARKER and not marked and event.revision == await marker:
                    marked = event.revision
                elif not marked and event.key not in MARKS:
                    if len(history) == HISTORY_MAX:
                        compacted = history[0].revision
                    history.append(event)
            if marked:
                return compacted, [event for event in self._ours(events) if event.revision > marked]
        raise StorageError(f"{self._config}: the watch ended before it began")

    async def _read_live(self, revision: int) -> AsyncIterator[Record]:
        """Every live key as of ``revision``."""
        async for key, value, written in etcdwire.live(self._kv, self._prefix, revision - self._offset):
            if key not in MARKS:
                yield Record(key, value, written + self._offset)

    # Following

    async def _watch(self, begin: int) -> AsyncIterator[Any]:
        """Batches of events from ``begin`` on; an ``int`` says that everything up to there is compacted away."""
        assert self._channel is not None
        start, end = etcdwire.key_range(self._prefix)
        while True:
            create = rpc.WatchCreateRequest(key=start, range_end=end, start_revision=begin - self._offset)
            call = rpc.WatchStub(self._channel).Watch()
            await call.write(rpc.WatchRequest(create_request=create))
            try:
                while (response := await call.read()) is not aio.EOF:
                    if response.compact_revision:
                        break
                    if response.canceled:
                        raise StorageError(f"{self._config}: the watch was refused: {response.cancel_reason}")
                    if response.events:
                        yield response.events
                else:
                    return
            finally:
                call.cancel()
            compacted = response.compact_revision + self._offset
            yield compacted
            begin = compacted + 1

    async def _follow(self, stream: AsyncIterator[Any], rest: list[Event]) -> None:
        """Apply what the watch brings, for ever; a broken watch is taken up where it broke."""
        self._deliver(rest)
        backoff = Backoff(0.05, 1.0)
        while True:
            try:
                async for events in stream:
                    if isinstance(events, int):
                        await self._catch_up()
                        continue
                    self._deliver(self._ours(events))
                    backoff.reset()
            except (aio.AioRpcError, StorageError) as error:
                log.warning("%s: the watch broke, and will be taken up: %s", self._config, error)
            with contextlib.suppress(RuntimeError):
                await stream.aclose()  # type: ignore[attr-defined]
            await asyncio.sleep(backoff.next_s())
            stream = self._watch(self._revision + 1)

    async def _catch_up(self) -> None:
        """What was missed is compacted away: apply the difference between what is known and what is there."""
        log.warning("%s: was away for longer than etcd keeps its history: everything is read again", self._config)
        head = await self._kv.Range(rpc.RangeRequest(key=self._prefix), timeout=CALL_TIMEOUT_S)
        revision = head.header.revision + self._offset
        live = {record.key: record async for record in self._read_live(revision)}
        changed = [record for key, record in live.items() if self._known.get(key) != record.revision]
        changed.sort(key=lambda record: record.revision)
        events = [Event(record.revision, record.key, record.value) for record in changed]
        events += [Event(revision, key, None) for key in self._known if key not in live]
        self._deliver(events)
        self._move_to(revision)

    def _deliver(self, events: Sequence[Event]) -> None:
        fresh = [event for event in events if event.revision > self._revision]
        shown = [event for event in fresh if event.key not in MARKS]
        for revision, key, value in shown:
            if value is None:
                self._known.pop(key, None)
            else:
                self._known[key] = revision
        assert self._apply is not None
        if shown:
            self._apply(shown)
        if fresh:
            self._move_to(fresh[-1].revision)

    def _move_to(self, revision: int) -> None:
        self._revision = max(self._revision, revision)
        for waited in [waited for waited in self._waiting if waited <= self._revision]:
            waiting = self._waiting.pop(waited)
            if not waiting.done():
                waiting.set_result(None)

    def _ours(self, events: Sequence[Any]) -> list[Event]:
        return [
            Event(
                event.kv.mod_revision + self._offset,
                event.kv.key[len(self._prefix) :].decode(),
                event.kv.value if event.type == event.PUT else None,
            )
            for event in events
        ]
