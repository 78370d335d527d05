"""Which pod is next. PURE: whoever calls says what time it is.

Three places: *active* (ready to be tried, highest priority first, then oldest), *backing off* (tried not long ago)
and *parked* (no node could take it). A change in the cluster that could help moves parked pods on; nobody stays
parked for longer than five minutes, because a helpful change may have been missed. As ``pkg/scheduler/backend/queue``
has it.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass

from picluster.scheduler.model import PodInfo

BACKOFF_MIN_S = 1.0
BACKOFF_MAX_S = 10.0
PARKED_MAX_S = 300.0


@dataclass(slots=True)
class _Entry:
    pod: PodInfo
    order: int
    attempts: int = 0
    popped_in: int = 0
    active: bool = False
    parked_at_s: float | None = None
    wake_at_s: float | None = None


class SchedulingQueue:
    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}
        self._active: list[tuple[int, int, str]] = []
        self._timers: list[tuple[float, int, str]] = []
        self._parked: dict[str, None] = {}
        self._order = itertools.count()
        self._cycle = 0
        self._moved_in = 0

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, pod: PodInfo, now_s: float) -> None:
        """A pod that waits for a node: new ones are active, a changed one that was parked may be schedulable now."""
        entry = self._entries.get(pod.key)
        if entry is None or entry.pod.uid != pod.uid:
            self._parked.pop(pod.key, None)
            entry = self._entries[pod.key] = _Entry(pod, next(self._order))
            self._activate(entry)
            return
        changed = entry.pod.template != pod.template
        entry.pod = pod
        if changed and entry.parked_at_s is not None:
            self._back_off(entry, now_s)

    def remove(self, key: str) -> None:
        """The pod is bound or gone; safe when it is not here."""
        self._entries.pop(key, None)
        self._parked.pop(key, None)

    def pop(self, now_s: float) -> PodInfo | None:
        """The next pod to try, or ``None``; it stays known until ``remove`` or ``park``."""
        self._wake(now_s)
        while self._active:
            _, order, key = heapq.heappop(self._active)
            entry = self._entries.get(key)
            if entry is not None and entry.active and entry.order == order:
                self._cycle += 1
                entry.active = False
                entry.attempts += 1
                entry.popped_in = self._cycle
                return entry.pod
        return None

    def park(self, pod: PodInfo, now_s: float) -> None:
        """No node could take it, or its binding failed. What changed since it was popped may have helped already."""
        entry = self._entries.get(pod.key)
        if entry is None or entry.pod.uid != pod.uid:
            return
        entry.parked_at_s = now_s
        self._parked[pod.key] = None
        if entry.popped_in <= self._moved_in:
            self._back_off(entry, now_s)
        else:
            self._set_timer(entry, now_s + PARKED_MAX_S)

    def move(self, now_s: float, could_help: Callable[[PodInfo], bool] = lambda pod: True) -> None:
        """Something changed: parked pods that it ``could_help`` are tried again, each after its back-off."""
        self._moved_in = self._cycle
        for entry in [self._entries[key] for key in self._parked]:
            if could_help(entry.pod):
                self._back_off(entry, now_s)

    def next_wake_s(self) -> float | None:
        """When the next pod becomes active by itself; ``None`` when nobody waits for a time."""
        while self._timers and not self._is_set(*self._timers[0]):
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def _back_off(self, entry: _Entry, now_s: float) -> None:
        parked_at_s = now_s if entry.parked_at_s is None else entry.parked_at_s
        entry.parked_at_s = None
        self._parked.pop(entry.pod.key, None)
        ready_s = parked_at_s + min(BACKOFF_MIN_S * 2 ** max(entry.attempts - 1, 0), BACKOFF_MAX_S)
        if ready_s <= now_s:
            self._activate(entry)
        else:
            self._set_timer(entry, ready_s)

    def _wake(self, now_s: float) -> None:
        while self._timers and self._timers[0][0] <= now_s:
            timer = heapq.heappop(self._timers)
            if self._is_set(*timer):
                self._activate(self._entries[timer[2]])

    def _set_timer(self, entry: _Entry, at_s: float) -> None:
        entry.wake_at_s = at_s
        heapq.heappush(self._timers, (at_s, entry.order, entry.pod.key))

    def _is_set(self, at_s: float, order: int, key: str) -> bool:
        entry = self._entries.get(key)
        return entry is not None and entry.order == order and entry.wake_at_s == at_s

    def _activate(self, entry: _Entry) -> None:
        entry.wake_at_s = entry.parked_at_s = None
        self._parked.pop(entry.pod.key, None)
        if not entry.active:
            entry.active = True
            heapq.heappush(self._active, (-entry.pod.priority, entry.order, entry.pod.key))
