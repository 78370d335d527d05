"""Where time comes from, so that tests own it.

Components take a ``Clock`` and never call ``time`` or ``asyncio.sleep`` for anything they decide on. ``SystemClock`` is
the real one; ``VirtualClock`` stands still until a test advances it, and then wakes sleepers in the order of their due
times, letting each run before time moves on.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from typing import Protocol


class Clock(Protocol):
    def now(self) -> float:
        """Wall-clock seconds since the epoch."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back; only differences mean something."""
        ...

    async def sleep(self, delay_s: float) -> None: ...


class SystemClock:
    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s)


SYSTEM_CLOCK = SystemClock()


class VirtualClock:
    """A clock that moves only in ``advance``; ``now`` and ``monotonic`` move together."""

    SETTLE_ROUNDS_MAX = 50

    def __init__(self, start_s: float = 1_700_000_000.0) -> None:
        self._start_s = start_s
        self._elapsed_s = 0.0
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> float:
        return self._start_s + self._elapsed_s

    def monotonic(self) -> float:
        return self._elapsed_s

    async def sleep(self, delay_s: float) -> None:
        if delay_s <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed_s + delay_s, next(self._order), woken))
        await woken

    async def advance(self, delta_s: float) -> None:
        """Move time by ``delta_s`` seconds, waking every sleeper that falls due on the way, in order."""
        end_s = self._elapsed_s + delta_s
        await self._settle()
        while self._sleepers and self._sleepers[0][0] <= end_s:
            due_s, _, woken = heapq.heappop(self._sleepers)
            self._elapsed_s = max(self._elapsed_s, due_s)
            if not woken.done():
                woken.set_result(None)
            await self._settle()
        self._elapsed_s = end_s

    async def _settle(self) -> None:
        for _ in range(self.SETTLE_ROUNDS_MAX):
            await asyncio.sleep(0)
