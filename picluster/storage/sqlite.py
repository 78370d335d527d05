"""The embedded store: SQLite behind a group commit.

A write on the event loop only queues, and what one turn of the loop has queued is handed over at once, so that the
thread is not woken for each write of many. The thread takes whatever has queued and commits it as one transaction.
While it waits for the disk the next writes gather, so the batch grows with the load and a lone writer never waits for
company. The thread alone knows which key is at which revision, so it checks, numbers and commits without reading the
disk, and without a lock. One callback per batch brings the events to the event loop, in order, before any writer hears
of it.

Heartbeats (``durable=False``) take a revision and stay in memory. For their numbers to be unique after a crash, a
ceiling is stored before the first number above it is given out, and a start begins above it. A clean ``close`` writes
the heartbeats down and lowers the ceiling again.

A store that has reached its quota takes deletions, heartbeats and compactions, and refuses the rest.

A batch that the disk refuses fails as a whole: the thread takes back what it noted, and goes on.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from array import array
from bisect import bisect_right
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from picluster.storage.backend import Apply, Event, RevisionMismatch, Snapshot, StorageError
from picluster.storage.revisionfile import CHECKPOINT_PAGES, COLUMNS, PAGE_BYTES, SIZE_MAX_BYTES, RevisionFile, row

log = logging.getLogger(__name__)

BATCH_MAX = 1024
QUEUE_MAX = 8192
CEILING_STEP = 100_000
FORGET_ROWS_MAX = 128  # deleted per transaction, so that a write waits for one of these at most


class _Write(NamedTuple):
    key: str
    value: bytes | None
    expected: int
    durable: bool
    done: asyncio.Future[int]


class _Compact(NamedTuple):
    revision: int
    done: asyncio.Future[None]


class _Close(NamedTuple):
    pass


Item = list[_Write] | _Compact | _Close
"""What goes to the thread."""


class _Heartbeat(NamedTuple):
    """A value that is not on disk; ``stored`` is the key's revision there, 0 if none."""

    revision: int
    value: bytes
    stored: int


class SqliteBackend:
    """``Backend`` on one file; this class is the event loop's side, ``_Writer`` the thread's."""

    def __init__(self, path: Path, size_max_bytes: int = SIZE_MAX_BYTES) -> None:
        self._path = path
        self._size_max_bytes = size_max_bytes
        self._inbox: queue.SimpleQueue[Item] = queue.SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._apply: Apply | None = None
        self._thread: threading.Thread | None = None
        self._ended: asyncio.Future[None] | None = None
        self._open = False
        self._queued = 0
        self._gathered: list[_Write] = []
        self._room = asyncio.Event()

    @property
    def size_bytes(self) -> int:
        """The database and what has not been moved into it yet."""
        files = (self._path, self._path.with_name(f"{self._path.name}-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    async def start(self, apply: Apply) -> Snapshot:
        if self._thread is not None:
            raise StorageError(f"store {self._path} is started already: close it first")
        loop = self._loop = asyncio.get_running_loop()
        self._apply = apply
        self._inbox = queue.SimpleQueue()
        self._ended = loop.create_future()
        started: asyncio.Future[list[Snapshot]] = loop.create_future()
        writer = _Writer(RevisionFile(self._path), self._size_max_bytes, self._inbox, loop, self._deliver)
        self._thread = threading.Thread(
            target=writer.run, args=(started, self._ended), name="store-writer", daemon=True
        )
        self._thread.start()
        try:
            snapshot = (await started).pop()  # the thread keeps the future as long as it lives
        except StorageError:
            await self.close()
            raise
        self._open = True
        return snapshot

    async def put(self, key: str, value: bytes, expected: int, *, durable: bool = True) -> int:
        if self._queued >= QUEUE_MAX:
            await self._wait_for_room()
        return await self._enqueue(key, value, expected, durable)

    async def delete(self, key: str, expected: int) -> int:
        if self._queued >= QUEUE_MAX:
            await self._wait_for_room()
        return await self._enqueue(key, None, expected, True)

    async def compact(self, revision: int) -> None:
        done: asyncio.Future[None] = self._running_loop().create_future()
        self._inbox.put(_Compact(revision, done))
        await done

    async def close(self) -> None:
        thread, ended = self._thread, self._ended
        if thread is None or ended is None:
            return
        if self._open:
            self._open = False
            self._hand_over()
            self._inbox.put(_Close())
        await asyncio.shield(ended)
        thread.join()
        self._thread = None

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if not self._open or self._loop is None:
            raise StorageError(f"store {self._path} is closed: the server is stopping or was not started")
        return self._loop

    def _enqueue(self, key: str, value: bytes | None, expected: int, durable: bool) -> asyncio.Future[int]:
        loop = self._running_loop()
        done: asyncio.Future[int] = loop.create_future()
        self._queued += 1
        if not self._gathered:
            loop.call_soon(self._hand_over)
        self._gathered.append(_Write(key, value, expected, durable, done))
        return done

    def _hand_over(self) -> None:
        if self._gathered:
            self._inbox.put(self._gathered)
            self._gathered = []

    async def _wait_for_room(self) -> None:
        while self._queued >= QUEUE_MAX:
            self._room.clear()
            await self._room.wait()

    def _deliver(self, events: list[Event], batch: list[_Write], results: Sequence[int | Exception]) -> None:
        """On the event loop: what was committed is applied first, then its writers hear of it."""
        assert self._apply is not None
        self._queued -= len(batch)
        self._room.set()
        try:
            if events:
                self._apply(events)
        finally:
            for write, result in zip(batch, results, strict=True):
                if write.done.done():  # its caller was cancelled; the write stands
                    continue
                if isinstance(result, int):
                    write.done.set_result(result)
                else:
                    write.done.set_exception(result)


Deliver = Callable[[list[Event], list[_Write], Sequence[int | Exception]], None]


class _Writer:
    """The thread: it alone touches the file and the map of revisions."""

    def __init__(
        self,
        file: RevisionFile,
        size_max_bytes: int,
        inbox: queue.SimpleQueue[Item],
        loop: asyncio.AbstractEventLoop,
        deliver: Deliver,
    ) -> None:
        self._file = file
        self._size_max_bytes = size_max_bytes
        self._full = False
        self._inbox = inbox
        self._loop = loop
        self._deliver = deliver
        self._revision = 0
        self._ceiling = 0
        self._revisions: dict[str, int] = {}
        self._heartbeats: dict[str, _Heartbeat] = {}
        # Rows that a compaction may delete: the revision that superseded each (rising), and its own.
        self._superseders = array("q")
        self._superseded = array("q")
        self._wal_pages = 0
        self._compacted = 0
        self._compactions: list[_Compact] = []
        self._closing = False

    def run(self, started: asyncio.Future[list[Snapshot]], ended: asyncio.Future[None]) -> None:
        try:
            self._file.open()
            loaded = [self._load()]
        except StorageError as error:
            self._closing = True
            self._call(_fail, started, error)
        else:
            self._call(_resolve, started, loaded)
        while not self._closing:
            batch = self._take()
            if batch:
                self._commit(batch)
            if self._compactions:
                self._compact_some()
            if self._wal_pages >= CHECKPOINT_PAGES:
                self._checkpoint()
        self._end()
        self._call(_resolve, ended, None)

    def _call(self, function: Callable[..., None], *args: object) -> None:
        self._loop.call_soon_threadsafe(function, *args)

    def _load(self) -> Snapshot:
        snapshot, superseded = self._file.load()
        self._revision = self._ceiling = snapshot.revision
        self._compacted = snapshot.compacted
        self._revisions = {record.key: record.revision for record in snapshot.records}
        self._superseders.extend(by for by, _ in superseded)
        self._superseded.extend(superseded_row for _, superseded_row in superseded)
        self._measure()
        return snapshot

    def _take(self) -> list[_Write]:
        """Whatever has queued, without waiting for more; waits for the first unless a compaction is under way."""
        batch: list[_Write] = []
        waiting = self._inbox.qsize()
        if not waiting and not self._compactions:
            waiting = 1
        while waiting and len(batch) < BATCH_MAX:
            waiting -= 1
            item = self._inbox.get()
            if isinstance(item, list):
                batch += item
            elif isinstance(item, _Compact):
                self._compactions.append(item)
            else:
                self._closing = True
        return batch

    def _commit(self, batch: list[_Write]) -> None:
        revisions, heartbeats = self._revisions, self._heartbeats
        revision, number_max = self._revision, self._ceiling
        rows: list[object] = []
        events: list[Event] = []
        results: list[int | Exception] = []
        undo: list[tuple[str, int, _Heartbeat | None]] = []
        superseders, superseded = array("q"), array("q")
        for key, value, expected, durable, _ in batch:
            actual = revisions.get(key, 0)
            if actual != expected or (value is None and actual == 0):
                results.append(RevisionMismatch(key, expected, actual))
                continue
            if self._full and value is not None and durable:
                results.append(self._quota_error())
                continue
            revision += 1
            heartbeat = heartbeats.get(key)
            stored = actual if heartbeat is None else heartbeat.stored
            undo.append((key, actual, heartbeat))
            if value is None:
                del revisions[key]
            else:
                revisions[key] = revision
            if durable or value is None:
                rows += row(revision, key, value)
                if heartbeat is not None:
                    del heartbeats[key]
                if stored:
                    superseders.append(revision)
                    superseded.append(stored)
                if value is None:
                    superseders.append(revision)
                    superseded.append(revision)
            else:
                heartbeats[key] = _Heartbeat(revision, value, stored)
                number_max = revision
            events.append(Event(revision, key, value))
            results.append(revision)
        ceiling = revision + CEILING_STEP if number_max > self._ceiling else None
        self._revision = revision  # also when the commit fails: a number is never used twice
        try:
            if rows or ceiling is not None:
                self._file.append(rows, ceiling)
        except Exception as error:  # whatever it is, nothing of the batch may stand
            self._take_back(undo)
            log.error("%d writes failed: %s", len(batch), error)
            self._call(self._deliver, [], batch, [StorageError(str(error)) for _ in batch])
            return
        self._call(self._deliver, events, batch, results)
        self._superseders.extend(superseders)
        self._superseded.extend(superseded)
        if ceiling is not None:
            self._ceiling = ceiling
        self._wal_pages += _pages(rows)

    def _quota_error(self) -> StorageError:
        size_mib = self._size_max_bytes // 1024**2
        return StorageError(
            f"the store has reached its quota of {size_mib} MiB: delete what is not needed and wait for the next"
            " compaction, or raise store.size_max_mib in server.yaml"
        )

    def _measure(self) -> None:
        """Whether the quota is reached: looked at after each load, checkpoint and compaction, not at each write."""
        was, self._full = self._full, self._file.used_bytes() >= self._size_max_bytes
        if self._full and not was:
            log.error("%s", self._quota_error())

    def _take_back(self, undo: list[tuple[str, int, _Heartbeat | None]]) -> None:
        for key, actual, heartbeat in reversed(undo):
            if actual:
                self._revisions[key] = actual
            else:
                self._revisions.pop(key, None)
            if heartbeat is not None:
                self._heartbeats[key] = heartbeat
            else:
                self._heartbeats.pop(key, None)

    def _compact_some(self) -> None:
        """One bounded step, between two batches; ends the compactions when nothing is left to do."""
        target = min(max(compact.revision for compact in self._compactions), self._revision)
        try:
            if target > self._compacted:
                self._file.mark_compacted(target)
                self._compacted = target
            end = bisect_right(self._superseders, target, 0, min(FORGET_ROWS_MAX, len(self._superseders)))
            if end:
                self._file.forget(self._superseded[:end])
                del self._superseders[:end], self._superseded[:end]
                self._wal_pages += end
                return
        except StorageError as error:
            log.error("compaction stopped: %s", error)
            for compact in self._compactions:
                self._call(_fail, compact.done, StorageError(str(error)))
        else:
            self._measure()
            for compact in self._compactions:
                self._call(_resolve, compact.done, None)
        self._compactions.clear()

    def _checkpoint(self) -> None:
        self._wal_pages = 0
        try:
            self._file.checkpoint()
            self._measure()
        except StorageError as error:
            log.warning("the write-ahead log was not checkpointed, and will be later: %s", error)

    def _end(self) -> None:
        for compact in self._compactions:
            self._call(_fail, compact.done, StorageError("the store was closed during the compaction"))
        if self._heartbeats or self._ceiling > self._revision:
            rows: list[object] = []
            for key, heartbeat in self._heartbeats.items():
                rows += row(heartbeat.revision, key, heartbeat.value)
            try:
                self._file.append(rows, self._revision)
            except StorageError as error:
                log.warning("the last heartbeats were not written down: %s", error)
        self._file.close()


def _pages(rows: Sequence[object]) -> int:
    """About how many pages a commit added to the WAL: the rows, the page they share with older ones, the root."""
    size = sum(len(value) for value in rows[2::COLUMNS] if isinstance(value, bytes))
    return 2 + size // PAGE_BYTES


def _resolve(future: asyncio.Future[object], result: object) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[object], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
