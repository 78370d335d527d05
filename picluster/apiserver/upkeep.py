"""What the server does by itself, on a timer: compaction, bookmarks, and forgetting old Events."""

from __future__ import annotations

import logging
from collections import deque

from picluster.api.resources import CORE_EVENTS
from picluster.apiserver.cache.watchcache import BOOKMARK_INTERVAL_S, WatchCache
from picluster.storage.backend import Backend, RevisionMismatch, StorageError
from picluster.util.clock import Clock

log = logging.getLogger(__name__)

EVENT_TTL_S = 3600.0
EVENT_DELETIONS_MAX = 500


class Upkeep:
    """Knows which revision was current when, so that ages become revisions."""

    def __init__(
        self, backend: Backend, cache: WatchCache, clock: Clock, compaction_interval_s: float, history_s: float
    ) -> None:
        self._backend = backend
        self._cache = cache
        self._clock = clock
        self._interval_s = compaction_interval_s
        self._history_s = history_s
        self._marks: deque[tuple[float, int]] = deque()

    async def send_bookmarks(self) -> None:
        """Runs for ever."""
        while True:
            await self._clock.sleep(BOOKMARK_INTERVAL_S)
            self._cache.send_bookmarks()

    async def compact(self) -> None:
        """Runs for ever; what the store refuses is tried again at the next interval."""
        while True:
            self._marks.append((self._clock.monotonic(), self._cache.revision))
            try:
                await self._compact_once()
            except StorageError as error:
                log.warning("compaction failed, and will be tried again: %s", error)
            await self._clock.sleep(self._interval_s)

    async def _compact_once(self) -> None:
        old = self._revision_before(self._history_s)
        if old > 0:
            self._cache.forget(old)
            await self._backend.compact(old)
        await self._expire_events(self._revision_before(EVENT_TTL_S))
        while len(self._marks) > 1 and self._marks[1][0] <= self._clock.monotonic() - EVENT_TTL_S:
            self._marks.popleft()

    async def _expire_events(self, revision: int) -> None:
        """Delete the Events that nobody has written since ``revision``."""
        entries = self._cache.collections[CORE_EVENTS.id].entries.values()
        expired = [entry for entry in entries if entry.revision <= revision][:EVENT_DELETIONS_MAX]
        for entry in expired:
            try:
                await self._backend.delete(f"{CORE_EVENTS.id}/{entry.key}", entry.revision)
            except RevisionMismatch:
                continue  # it was written again, so it is not old

    def _revision_before(self, age_s: float) -> int:
        """The newest revision known to be older than ``age_s``; 0 when there is none."""
        limit_s = self._clock.monotonic() - age_s
        return max((revision for time_s, revision in self._marks if time_s <= limit_s), default=0)
