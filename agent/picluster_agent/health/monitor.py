"""Looks at the board every few seconds, and says when something about it has changed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from picluster.api.types import Object
from picluster.util.clock import Clock
from picluster_agent.health import sensors
from picluster_agent.health.decide import Track, decide
from picluster_agent.health.model import Readings

log = logging.getLogger(__name__)

LOOK_S = 15.0


class BoardMonitor:
    """``on_change`` hears that ``conditions`` say something else."""

    def __init__(self, root: Path, writable: Sequence[Path], clock: Clock, on_change: Callable[[], None]) -> None:
        self._root = root
        self._writable = writable
        self._clock = clock
        self._on_change = on_change
        self._tracks: dict[str, Track] = {}
        self.readings = Readings()

    def conditions(self) -> list[Object]:
        return [track.told.condition() for track in self._tracks.values()]

    async def run(self) -> None:
        while True:
            try:
                self.readings = await asyncio.to_thread(
                    sensors.read, self._root, self._clock.monotonic(), self._writable
                )
            except (OSError, ValueError) as error:  # a sensor that speaks in tongues hides the others for one look
                log.warning("a sensor of the board cannot be read: %s", error)
            else:
                before, self._tracks = self._tracks, decide(self.readings, self._tracks)
                if _told(before) != _told(self._tracks):
                    self._on_change()
            await self._clock.sleep(LOOK_S)


def _told(tracks: dict[str, Track]) -> list[Object]:
    return [track.told.condition() for track in tracks.values()]
