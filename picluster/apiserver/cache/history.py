"""The latest changes of one resource, for watches that resume and for lists of the past.

Bounded three ways: by count, by the bytes that only the history keeps alive, and by age (``forget``, called at each
compaction). Below ``floor`` it knows nothing and says so.

After a restart the history begins in the middle: the first change seen of a key may have an unknown state before it.
An unfiltered watch can still be served such a change, unless it is a deletion (there is no object to send); a filtered
one cannot, since whether the object was selected before decides what it is told. Hence the second, higher floor.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from picluster.apiserver.cache.index import Entry

COUNT_MAX = 50_000
BYTES_MAX = 32 << 20


class Change:
    """One committed write as the cache saw it: ``old`` is the state before, ``new`` the state after it."""

    __slots__ = ("key", "new", "old", "revision")

    def __init__(self, revision: int, key: str, old: Entry | None, new: Entry | None) -> None:
        self.revision = revision
        self.key = key
        self.old = old
        self.new = new


class History:
    def __init__(self, floor: int = 0, count_max: int = COUNT_MAX, bytes_max: int = BYTES_MAX) -> None:
        self.floor = floor
        self.filtered_floor = floor
        self._changes: deque[Change] = deque()
        self._count_max = count_max
        self._bytes_max = bytes_max
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._changes)

    def append(self, change: Change) -> None:
        changes = self._changes
        changes.append(change)
        if change.old is not None:
            self._bytes += len(change.old.wire)
        while len(changes) > self._count_max or self._bytes > self._bytes_max:
            self._drop()

    def forget(self, revision: int) -> None:
        """Drop what is at or below ``revision``."""
        while self._changes and self._changes[0].revision <= revision:
            self._drop()

    def lift(self, revision: int, *, filtered_only: bool) -> None:
        """Nothing at or below ``revision`` can be told any more (to filtered watches, or to any)."""
        self.filtered_floor = max(self.filtered_floor, revision)
        if not filtered_only:
            self.floor = max(self.floor, revision)

    def after(self, revision: int) -> list[Change]:
        """The changes above ``revision``, oldest first."""
        found: list[Change] = []
        for change in reversed(self._changes):
            if change.revision <= revision:
                break
            found.append(change)
        found.reverse()
        return found

    def undo(self, revision: int) -> dict[str, Entry | None]:
        """What differed at ``revision``: the state then (``None``: absent) of every key changed since."""
        return {change.key: change.old for change in self._newest_first(revision)}

    def _newest_first(self, revision: int) -> Iterator[Change]:
        for change in reversed(self._changes):
            if change.revision <= revision:
                return
            yield change

    def _drop(self) -> None:
        change = self._changes.popleft()
        if change.old is not None:
            self._bytes -= len(change.old.wire)
        self.floor = max(self.floor, change.revision)
        self.filtered_floor = max(self.filtered_floor, self.floor)
