"""Keys that need work, each once: the semantics of client-go's ``workqueue``.

A key is *dirty* from ``add`` until a worker takes it, and *processing* until that worker calls ``done``. Adding a dirty
key again does nothing. Adding a key that is being processed marks it dirty, and ``done`` then queues it again: so no
key is ever worked on twice at the same time, and no change that came during the work is lost. The queue is bounded by
the number of keys there are.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import deque
from typing import Generic, TypeVar

from picluster.util.clock import Clock

RETRY_MIN_S = 0.005
RETRY_MAX_S = 1000.0
DOUBLINGS_MAX = 64

K = TypeVar("K")


class QueueClosed(Exception):
    """The queue was closed; there is no more work."""


class WorkQueue(Generic[K]):
    """Not thread-safe: all of it happens on one event loop."""

    def __init__(self, clock: Clock, *, retry_min_s: float = RETRY_MIN_S, retry_max_s: float = RETRY_MAX_S) -> None:
        self._clock = clock
        self._retry_min_s = retry_min_s
        self._retry_max_s = retry_max_s
        self._ready: deque[K] = deque()
        self._dirty: set[K] = set()
        self._processing: set[K] = set()
        self._failures: dict[K, int] = {}
        self._due_s: dict[K, float] = {}
        self._delayed: list[tuple[float, int, K]] = []
        self._order = itertools.count()
        self._alarm: asyncio.Task[None] | None = None
        self._alarm_s = 0.0
        self._getters: deque[asyncio.Future[None]] = deque()
        self._closed = False

    def __len__(self) -> int:
        """Keys that wait for a worker now."""
        return len(self._ready)

    @property
    def idle(self) -> bool:
        """Nothing waits and nothing is being worked on; delayed keys do not count."""
        return not self._dirty and not self._processing

    def add(self, key: K) -> None:
        if self._closed or key in self._dirty:
            return
        self._dirty.add(key)
        if key not in self._processing:
            self._ready.append(key)
            self._wake()

    def add_after(self, key: K, delay_s: float) -> None:
        """Add ``key`` when ``delay_s`` has passed; of several delays for a key, the earliest counts."""
        if self._closed:
            return
        if delay_s <= 0:
            self.add(key)
            return
        due_s = self._clock.monotonic() + delay_s
        if key in self._due_s and self._due_s[key] <= due_s:
            return
        self._due_s[key] = due_s
        heapq.heappush(self._delayed, (due_s, next(self._order), key))
        self._set_alarm()

    def add_rate_limited(self, key: K) -> None:
        """Add ``key`` after a delay that doubles with each failure since ``forget``."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        self.add_after(key, min(self._retry_min_s * 2 ** min(failures, DOUBLINGS_MAX), self._retry_max_s))

    def forget(self, key: K) -> None:
        """``key`` succeeded: its next failure starts at the shortest delay."""
        self._failures.pop(key, None)

    def failures(self, key: K) -> int:
        """How often ``key`` failed in a row."""
        return self._failures.get(key, 0)

    async def get(self) -> K:
        """The next key, when there is one; ``done(key)`` must follow. Raises ``QueueClosed``."""
        while not self._ready:
            if self._closed:
                raise QueueClosed
            getter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._getters.append(getter)
            try:
                await getter
            except asyncio.CancelledError:
                if getter.done() and not getter.cancelled() and self._ready:
                    self._wake()  # the wake-up was meant for whoever takes the key
                raise
        key = self._ready.popleft()
        self._dirty.discard(key)
        self._processing.add(key)
        return key

    def done(self, key: K) -> None:
        """The work on ``key`` ended, well or not."""
        self._processing.discard(key)
        if key in self._dirty and not self._closed:
            self._ready.append(key)
            self._wake()

    def close(self) -> None:
        """Take no more keys, forget those that wait, and let every ``get`` raise; safe twice."""
        self._closed = True
        self._ready.clear()
        self._dirty.clear()
        self._delayed.clear()
        self._due_s.clear()
        if self._alarm is not None:
            self._alarm.cancel()
        while self._getters:
            self._wake()

    def _wake(self) -> None:
        while self._getters:
            getter = self._getters.popleft()
            if not getter.done():
                getter.set_result(None)
                return

    def _set_alarm(self) -> None:
        """One task sleeps until the earliest delayed key is due."""
        if not self._delayed:
            return
        due_s = self._delayed[0][0]
        if self._alarm is not None and not self._alarm.done():
            if self._alarm_s <= due_s:
                return
            self._alarm.cancel()
        self._alarm_s = due_s
        self._alarm = asyncio.get_running_loop().create_task(self._ring(due_s), name="workqueue alarm")

    async def _ring(self, due_s: float) -> None:
        await self._clock.sleep(due_s - self._clock.monotonic())
        now_s = self._clock.monotonic()
        while self._delayed and self._delayed[0][0] <= now_s:
            key_due_s, _, key = heapq.heappop(self._delayed)
            if self._due_s.get(key) == key_due_s:  # else superseded by an earlier one
                del self._due_s[key]
                self.add(key)
        self._alarm = None
        self._set_alarm()
