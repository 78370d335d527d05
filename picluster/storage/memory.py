"""The store for tests and for trying things: a dictionary that forgets everything with its process.

It keeps the contract to the letter, also over ``close`` and ``start`` of the same object, so that a restart of what
stands on it can be tested without a disk.
"""

from __future__ import annotations

from collections import deque

from picluster.storage.backend import Apply, Event, Record, RevisionMismatch, Snapshot, StorageError

HISTORY_MAX = 10_000


class MemoryBackend:
    def __init__(self) -> None:
        self._live: dict[str, Record] = {}
        self._history: deque[Event] = deque(maxlen=HISTORY_MAX)
        self._revision = 0
        self._compacted = 0
        self._apply: Apply | None = None

    @property
    def size_bytes(self) -> int:
        return sum(len(record.value) for record in self._live.values())

    async def start(self, apply: Apply) -> Snapshot:
        if self._apply is not None:
            raise StorageError("the memory store is in use already: close it before it is started again")
        self._apply = apply
        records = sorted(self._live.values(), key=lambda record: record.revision)
        return Snapshot(self._revision, self._compacted, records, list(self._history))

    async def put(self, key: str, value: bytes, expected: int, *, durable: bool = True) -> int:
        actual = self._revision_of(key)
        if actual != expected:
            raise RevisionMismatch(key, expected, actual)
        self._live[key] = Record(key, value, self._revision + 1)
        return self._commit(key, value)

    async def delete(self, key: str, expected: int) -> int:
        actual = self._revision_of(key)
        if actual != expected or actual == 0:
            raise RevisionMismatch(key, expected, actual)
        del self._live[key]
        return self._commit(key, None)

    async def compact(self, revision: int) -> None:
        self._compacted = max(self._compacted, min(revision, self._revision))
        while self._history and self._history[0].revision <= self._compacted:
            self._history.popleft()

    async def close(self) -> None:
        self._apply = None

    def _revision_of(self, key: str) -> int:
        if self._apply is None:
            raise StorageError("the memory store is closed: start it first")
        record = self._live.get(key)
        return record.revision if record is not None else 0

    def _commit(self, key: str, value: bytes | None) -> int:
        assert self._apply is not None
        self._revision += 1
        if len(self._history) == HISTORY_MAX:
            self._compacted = self._history[0].revision
        event = Event(self._revision, key, value)
        self._history.append(event)
        self._apply((event,))
        return self._revision
