"""Restart back-off as the kubelet keeps it: 10 s, doubling to 300 s, forgotten after ten good minutes.

The first restart is immediate. Each further one waits, from the moment the container ended, as long as the entry says;
an entry that was not touched for twice the maximum is forgotten (client-go ``util/flowcontrol.Backoff``).
"""

from __future__ import annotations

from dataclasses import dataclass

INITIAL_S = 10.0
MAX_S = 300.0


@dataclass(slots=True)
class _Entry:
    delay_s: float
    updated_s: float


class CrashBackoff:
    """One pod's back-offs, by key (a container's name, or an image's)."""

    def __init__(self, initial_s: float = INITIAL_S, max_s: float = MAX_S) -> None:
        self._initial_s = initial_s
        self._max_s = max_s
        self._entries: dict[str, _Entry] = {}

    def until(self, key: str, ended_s: float) -> float:
        """The epoch second before which ``key``, which ended at ``ended_s``, must not start; 0 for at once."""
        entry = self._entries.get(key)
        if entry is None or ended_s - entry.updated_s > 2 * self._max_s:
            return 0.0
        return ended_s + entry.delay_s

    def next(self, key: str, ended_s: float, now_s: float) -> None:
        """``key`` is started again now after an end at ``ended_s``: its following wait is longer."""
        entry = self._entries.get(key)
        if entry is None or ended_s - entry.updated_s > 2 * self._max_s:
            self._entries[key] = _Entry(min(self._initial_s, self._max_s), now_s)
        else:
            entry.delay_s = min(entry.delay_s * 2, self._max_s)
            entry.updated_s = now_s

    def delay_s(self, key: str) -> float:
        """How long the present wait of ``key`` is in whole."""
        entry = self._entries.get(key)
        return entry.delay_s if entry else 0.0
