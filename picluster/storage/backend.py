"""What the API server needs of a store; the contract that every backend keeps.

A key is ``<resource id>/<namespace>/<name>`` (``pods/default/web-1``, ``nodes//pi-1``). Each write gets the next
revision: one counter for the whole store, that only rises, also across crashes. The order of a write:

1. ``put`` or ``delete`` queues it, guarded by the revision the caller has seen.
2. The backend commits (many writers, one transaction), durably.
3. It calls ``apply`` on the event loop with the events of the commit, in revision order, none missing, none twice.
4. Only then does the caller's ``await`` return.

So whoever applies events (the watch cache) has seen a write before its writer learns that it succeeded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from picluster.util.timings import Timings


class Event(NamedTuple):
    """One committed write. ``value`` is ``None`` for a deletion."""

    revision: int
    key: str
    value: bytes | None


class Record(NamedTuple):
    """A live key: its bytes and the revision that wrote them."""

    key: str
    value: bytes
    revision: int


class Snapshot(NamedTuple):
    """What a store holds when it starts.

    ``history`` are the latest committed events in revision order, back to ``compacted`` exclusive, for clients that
    resume their watches after a restart; ``records`` already contains their effect.
    """

    revision: int
    compacted: int
    records: Sequence[Record]
    history: Sequence[Event]


Apply = Callable[[Sequence[Event]], None]


class RevisionMismatch(Exception):
    """The key is not at the expected revision; ``actual`` is where it is, 0 when it does not exist."""

    def __init__(self, key: str, expected: int, actual: int) -> None:
        super().__init__(f"{key} is at revision {actual}, not {expected}")
        self.key = key
        self.expected = expected
        self.actual = actual


class StorageError(Exception):
    """The store cannot serve (disk full, corrupt, unreachable); the message names the cause and the cure."""


class Backend(Protocol):
    @property
    def size_bytes(self) -> int:
        """How much room the store takes where it is kept, as far as that is known; asked for rarely."""
        ...

    async def start(self, apply: Apply) -> Snapshot:
        """Open, recover, and from now on call ``apply`` for every commit."""
        ...

    async def put(self, key: str, value: bytes, expected: int, *, durable: bool = True) -> int:
        """Write if ``key`` is at revision ``expected`` (0: must not exist), and return the new revision.

        ``durable=False`` is for heartbeats: a backend may keep such a value in memory only, and after a crash the key
        is back at its last durable value. Its revision is as unique as any other.

        Raises ``RevisionMismatch`` or ``StorageError``; after either nothing was written.
        """
        ...

    async def delete(self, key: str, expected: int) -> int:
        """Delete if at revision ``expected``, and return the revision of the deletion; raises as ``put`` does."""
        ...

    async def compact(self, revision: int) -> None:
        """Forget superseded values and deletions at or below ``revision``."""
        ...

    async def close(self) -> None:
        """Commit what is queued and release everything; safe without ``start``, and twice."""
        ...


@runtime_checkable
class Timed(Protocol):
    """A backend that asks others, and knows how long they take."""

    timings: Timings
