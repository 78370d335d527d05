"""Tells in the status of validating policies what type checking found (``validatingadmissionpolicystatus``)."""

from __future__ import annotations

import logging

from picluster.api import errors
from picluster.api.cel import Type
from picluster.api.cel.structural import built_in_type, schema_type
from picluster.api.resources import CUSTOM_RESOURCE_DEFINITIONS, VALIDATING_ADMISSION_POLICIES, Resource
from picluster.api.types import Object
from picluster.apiserver.admission.policies.typechecking import warnings
from picluster.apiserver.bootstrap import SELF
from picluster.apiserver.cache.history import Change
from picluster.apiserver.cache.watchcache import WatchCache
from picluster.apiserver.catalog import Catalog
from picluster.apiserver.registry.registry import Registry, Write
from picluster.apiserver.registry.store import decoded
from picluster.apiserver.registry.update import change_object
from picluster.runtime.workqueue import QueueClosed, WorkQueue
from picluster.storage.backend import StorageError
from picluster.util.clock import Clock
from picluster.util.tasks import Tasks

log = logging.getLogger(__name__)

RETRY_MIN_S = 0.05
RETRY_MAX_S = 30.0


class PolicyStatus:
    """``start`` it when the watch cache is loaded; safe to ``stop`` without."""

    def __init__(self, cache: WatchCache, catalog: Catalog, registry: Registry, clock: Clock) -> None:
        self._cache = cache
        self._catalog = catalog
        self._registry = registry
        self._queue: WorkQueue[str] = WorkQueue(clock, retry_min_s=RETRY_MIN_S, retry_max_s=RETRY_MAX_S)

    def start(self, tasks: Tasks) -> None:
        collection = self._cache.collection(VALIDATING_ADMISSION_POLICIES)
        for entry in collection.entries.values():
            self._queue.add(entry.name)
        collection.listeners.append(self._on_change)
        tasks.spawn(self._work(), "policy status")

    def stop(self) -> None:
        self._queue.close()

    def _on_change(self, change: Change) -> None:
        if change.new is not None:
            self._queue.add(change.new.name)

    async def _work(self) -> None:
        while True:
            try:
                name = await self._queue.get()
            except QueueClosed:
                return
            try:
                await self._reconcile(name)
            except (errors.ApiError, StorageError) as error:
                log.debug("validating admission policy %s: %s", name, error)
                self._queue.add_rate_limited(name)
            except Exception:  # a mistake with one must not end the work on the others
                log.exception("validating admission policy %s failed", name)
                self._queue.add_rate_limited(name)
            else:
                self._queue.forget(name)
            self._queue.done(name)

    async def _reconcile(self, name: str) -> None:
        entry = self._cache.get(VALIDATING_ADMISSION_POLICIES, "", name)
        if entry is None:
            return
        policy = decoded(entry)
        generation = policy["metadata"].get("generation") or 0
        if generation <= ((policy.get("status") or {}).get("observedGeneration") or 0):
            return
        checked: Object = {"observedGeneration": generation, "typeChecking": {}}
        if found := warnings(policy, self._catalog, self._type_of):
            checked["typeChecking"] = {"expressionWarnings": found}

        def change(old: Object) -> Object:
            return {**old, "status": {**(old.get("status") or {}), **checked}}

        write = Write(SELF, VALIDATING_ADMISSION_POLICIES, "", name, subresource="status")
        await change_object(self._registry, write, change)

    def _type_of(self, row: Resource) -> Type | None:
        if row.schema:
            return built_in_type(row.schema)
        entry = self._cache.get(CUSTOM_RESOURCE_DEFINITIONS, "", row.id)
        if entry is None:
            return None
        for version in decoded(entry)["spec"]["versions"]:
            schema = (version.get("schema") or {}).get("openAPIV3Schema")
            if version["name"] == row.version and schema:
                return schema_type(schema, root=True, name=row.kind)
        return None
