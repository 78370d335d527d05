"""Strings in order, for many inserts and deletes: a list of short sorted lists."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator

CHUNK_MAX = 1024


class SortedKeys:
    """A sorted set of strings; inserting and removing move at most one chunk of pointers."""

    __slots__ = ("_chunks", "_lasts", "_length")

    def __init__(self, keys: Iterable[str] = ()) -> None:
        keys = sorted(keys)
        self._chunks: list[list[str]] = [keys[at : at + CHUNK_MAX // 2] for at in range(0, len(keys), CHUNK_MAX // 2)]
        self._lasts: list[str] = [chunk[-1] for chunk in self._chunks]
        self._length = len(keys)

    def __len__(self) -> int:
        return self._length

    def add(self, key: str) -> None:
        """Insert ``key``, which must not be there."""
        self._length += 1
        if not self._chunks:
            self._chunks.append([key])
            self._lasts.append(key)
            return
        at = min(bisect_left(self._lasts, key), len(self._chunks) - 1)
        chunk = self._chunks[at]
        insort(chunk, key)
        self._lasts[at] = chunk[-1]
        if len(chunk) > CHUNK_MAX:
            half = len(chunk) // 2
            self._chunks[at : at + 1] = [chunk[:half], chunk[half:]]
            self._lasts[at : at + 1] = [chunk[half - 1], chunk[-1]]

    def remove(self, key: str) -> None:
        """Remove ``key``, which must be there."""
        at = bisect_left(self._lasts, key)
        chunk = self._chunks[at]
        del chunk[bisect_left(chunk, key)]
        self._length -= 1
        if chunk:
            self._lasts[at] = chunk[-1]
        else:
            del self._chunks[at], self._lasts[at]

    def span(self, start: str, end: str | None) -> Iterator[str]:
        """The keys from ``start`` (inclusive) to ``end`` (exclusive; ``None`` for all the rest), in order."""
        first = bisect_left(self._lasts, start)
        for at in range(first, len(self._chunks)):
            chunk = self._chunks[at]
            low = bisect_left(chunk, start) if at == first else 0
            if end is not None and end <= chunk[-1]:
                yield from chunk[low : bisect_left(chunk, end)]
                return
            yield from chunk[low:] if low else chunk

    def count(self, start: str, end: str | None) -> int:
        """How many keys ``span`` would give."""
        return self._rank(end) - self._rank(start)

    def _rank(self, key: str | None) -> int:
        if key is None:
            return self._length
        at = bisect_left(self._lasts, key)
        before = sum(len(chunk) for chunk in self._chunks[:at])
        return before + (bisect_left(self._chunks[at], key) if at < len(self._chunks) else 0)
