"""The APIServices of what this server serves itself, and of what custom resource definitions do.

The first are made at the start and then left to their administrator, the others kept as the definitions are; who takes
the label away gets an object that nobody touches. Source: ``autoregister`` in kube-aggregator.
"""

from __future__ import annotations

import asyncio
import logging

from picluster.api import errors
from picluster.api.resources import API_SERVICES, CUSTOM_RESOURCE_DEFINITIONS, RESOURCES
from picluster.api.types import Object
from picluster.apiserver.aggregation.priorities import ALWAYS, AUTOMANAGED, ON_START, OWN_GROUP, local
from picluster.apiserver.aggregation.services import ApiServices
from picluster.apiserver.bootstrap import SELF
from picluster.apiserver.catalog import Catalog
from picluster.apiserver.registry.create import create
from picluster.apiserver.registry.delete import delete
from picluster.apiserver.registry.options import DeleteOptions
from picluster.apiserver.registry.registry import Registry, Write
from picluster.apiserver.registry.store import decoded
from picluster.apiserver.registry.update import change_object
from picluster.runtime.workqueue import QueueClosed, WorkQueue
from picluster.storage.backend import StorageError
from picluster.util.tasks import Tasks

log = logging.getLogger(__name__)

RETRY_MIN_S = 0.01
RETRY_MAX_S = 5.0
BUILT_IN = frozenset((row.group, row.version) for row in RESOURCES if row.group != OWN_GROUP)


class LocalServices:
    """``start`` it when definitions are served; safe to ``stop`` without."""

    def __init__(self, registry: Registry, services: ApiServices, catalog: Catalog) -> None:
        self._registry = registry
        self._services = services
        self._catalog = catalog
        self._queue: WorkQueue[str] = WorkQueue(registry.clock, retry_min_s=RETRY_MIN_S, retry_max_s=RETRY_MAX_S)

    async def start(self, tasks: Tasks) -> None:
        """Make those of this server, and follow the definitions; raises ``ApiError`` or ``StorageError``."""
        wanted = {f"{version}.{group}": local(group, version, ON_START) for group, version in BUILT_IN}
        await asyncio.gather(*[self._ensure(each) for each in wanted.values()])
        for name in self._managed(ON_START) - set(wanted):
            await self._delete(name)
        collection = self._registry.store.cache.collection(CUSTOM_RESOURCE_DEFINITIONS)
        collection.listeners.append(lambda change: self._queue.add(""))
        self._services.listeners.append(self._on_service)
        self._queue.add("")
        tasks.spawn(self._work(), "apiservices")

    def stop(self) -> None:
        self._queue.close()

    def _on_service(self, name: str) -> None:
        version, _, group = name.partition(".")
        if (group, version) not in BUILT_IN:
            self._queue.add("")

    async def _work(self) -> None:
        while True:
            try:
                key = await self._queue.get()
            except QueueClosed:
                return
            try:
                await self._follow_definitions()
                self._queue.forget(key)
            except (errors.ApiError, StorageError) as error:
                log.warning("APIServices of custom resource definitions: %s", error)
                self._queue.add_rate_limited(key)
            finally:
                self._queue.done(key)

    async def _follow_definitions(self) -> None:
        served = {(row.group, row.version) for row in self._catalog} - BUILT_IN
        wanted = {
            f"{version}.{group}": local(group, version, ALWAYS) for group, version in served if group != OWN_GROUP
        }
        for each in wanted.values():
            await self._ensure(each)
        for name in self._managed(ALWAYS) - set(wanted):
            await self._delete(name)

    def _managed(self, how: str) -> set[str]:
        entries = self._registry.store.cache.collection(API_SERVICES).entries.values()
        return {entry.name for entry in entries if (entry.labels or {}).get(AUTOMANAGED) == how}

    async def _ensure(self, wanted: Object) -> None:
        name = wanted["metadata"]["name"]
        write = Write(SELF, API_SERVICES, "", name)
        entry = self._registry.store.cache.get(API_SERVICES, "", name)
        try:
            if entry is None:
                await create(self._registry, write, wanted, None)
            elif AUTOMANAGED in (entry.labels or {}) and decoded(entry)["spec"] != wanted["spec"]:
                await change_object(self._registry, write, lambda old: {**old, "spec": dict(wanted["spec"])})
        except errors.ApiError as error:
            if error.reason not in ("AlreadyExists", "NotFound"):
                raise

    async def _delete(self, name: str) -> None:
        try:
            await delete(self._registry, Write(SELF, API_SERVICES, "", name), DeleteOptions())
        except errors.ApiError as error:
            if error.reason != "NotFound":
                raise
