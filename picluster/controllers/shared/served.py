"""Caches of what no table knows: custom resources come and go, and what follows all objects follows them too."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from picluster.api.errors import ApiError
from picluster.api.resources import CUSTOM_RESOURCE_DEFINITIONS, Resource
from picluster.api.types import Object
from picluster.client import Client, Informer, TransportError
from picluster.client.discovery import collections, served
from picluster.runtime import Manager
from picluster.util.clock import Clock
from picluster.util.tasks import Tasks

log = logging.getLogger(__name__)

RESYNC_S = 30.0
"""How often the server is asked anyway (as the garbage collector's ``Sync``)."""
SETTLE_S = 0.05
"""After a definition has changed, more changes of it follow."""
NEEDED_VERBS = frozenset({"delete", "list", "watch"})

Added = Callable[[Resource, Informer], None]
Removed = Callable[[Resource], None]


class CustomCaches:
    """``added`` and ``removed`` hear of every resource beside the table's; ``kinds`` are all versions of them."""

    def __init__(self, manager: Manager, transform: Callable[[Object], Object], added: Added, removed: Removed) -> None:
        self.kinds: dict[tuple[str, str], Resource] = {}
        self._client: Client = manager.client
        self._clock: Clock = manager.clock
        self._transform = transform
        self._added = added
        self._removed = removed
        self._running: dict[Resource, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()
        definitions = manager.informer(CUSTOM_RESOURCE_DEFINITIONS, metadata_only=True)
        definitions.add_handler(lambda old, new: self._changed.set())

    async def run(self) -> None:
        """Follow until cancelled."""
        tasks = Tasks("custom caches")
        try:
            while True:
                self._changed.clear()
                try:
                    await self._sync(tasks)
                except (ApiError, TransportError) as error:
                    log.info("what is served cannot be told: %s", error)
                waiting = asyncio.ensure_future(self._changed.wait())
                resync = asyncio.ensure_future(self._clock.sleep(RESYNC_S))
                try:
                    await asyncio.wait({waiting, resync}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    waiting.cancel()
                    resync.cancel()
                await self._clock.sleep(SETTLE_S)
        finally:
            await tasks.close()

    async def _sync(self, tasks: Tasks) -> None:
        custom = await served(self._client)
        rows = {row for row in collections(custom) if not row.schema and set(row.verbs) >= NEEDED_VERBS}
        self.kinds = {(row.api_version, row.kind): row for row in custom}
        for row in [row for row in self._running if row not in rows]:
            self._running.pop(row).cancel()
            self._removed(row)
        for row in rows - set(self._running):
            cache = Informer(self._client, row, transform=self._transform)
            self._added(row, cache)
            self._running[row] = tasks.spawn(cache.run(), row.id)
