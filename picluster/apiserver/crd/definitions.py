"""Keeps what is served in step with the definitions: in the catalog, the registry and the watch cache.

A change of a definition is followed as it is applied to the watch cache, so that whoever sees a definition established
finds its resources served. What it takes time to do (names, conditions, the end of a definition) a worker does, one
definition at a time, because names are given to whoever comes first.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from functools import partial

import orjson

from picluster.api import errors, meta
from picluster.api.resources import CUSTOM_RESOURCE_DEFINITIONS as DEFINITIONS
from picluster.api.resources import Resource
from picluster.api.types import Object
from picluster.apiserver.bootstrap import SELF
from picluster.apiserver.cache.history import Change
from picluster.apiserver.cache.watchcache import WatchCache
from picluster.apiserver.catalog import Catalog
from picluster.apiserver.crd import cleanup, conditions, publish, selectable
from picluster.apiserver.crd.conversion import WebhookConversion
from picluster.apiserver.crd.definition import Definition, schema_of
from picluster.apiserver.crd.figures import ConversionFigures
from picluster.apiserver.crd.kind import kinds_of
from picluster.apiserver.openapi import definition_name, list_definition_name
from picluster.apiserver.registry.registry import Registry, Write
from picluster.apiserver.registry.store import decoded
from picluster.apiserver.registry.update import change_object
from picluster.apiserver.webhooks.client import WebhookClient
from picluster.runtime.workqueue import QueueClosed, WorkQueue
from picluster.storage.backend import StorageError
from picluster.util.clock import Clock
from picluster.util.tasks import Tasks

log = logging.getLogger(__name__)

RETRY_MIN_S = 0.01
RETRY_MAX_S = 5.0


class Definitions:
    """``start`` it when the watch cache is loaded; safe to ``stop`` without."""

    def __init__(
        self,
        cache: WatchCache,
        catalog: Catalog,
        registry: Registry,
        webhooks: WebhookClient,
        clock: Clock,
        figures: ConversionFigures,
    ) -> None:
        self._cache = cache
        self._catalog = catalog
        self._registry = registry
        self._webhooks = webhooks
        self._figures = figures
        self._queue: WorkQueue[str] = WorkQueue(clock, retry_min_s=RETRY_MIN_S, retry_max_s=RETRY_MAX_S)
        self._known: dict[str, Definition] = {}
        self._rows: dict[str, tuple[Resource, ...]] = {}

    def start(self, tasks: Tasks) -> None:
        """Serve what is defined, and follow."""
        collection = self._cache.collection(DEFINITIONS)
        for entry in list(collection.entries.values()):
            self._install(Definition(orjson.loads(entry.wire)))
            self._queue.add(entry.name)
        collection.listeners.append(self._on_change)
        tasks.spawn(self._work(), "definitions")

    def stop(self) -> None:
        self._queue.close()

    def _on_change(self, change: Change) -> None:
        name = change.key.partition("/")[2]
        try:
            if change.new is None:
                self._forget(name)
            else:
                self._install(Definition(orjson.loads(change.new.wire)))
                self._queue.add(name)
        except Exception:  # the cache goes on, whatever a definition says
            log.exception("custom resource definition %s cannot be served", name)

    def _install(self, definition: Definition) -> None:
        name, known = definition.name, self._known.get(definition.name)
        self._known[name] = definition
        if known is not None and known.same_rules(definition):
            return
        if not definition.established:
            return
        webhook = None
        if definition.asks_webhook:
            webhook = WebhookConversion(name, definition.conversion["webhook"], self._webhooks, self._figures)
        kinds = kinds_of(definition, webhook)
        if known is None or (known.spec, known.names, known.established) != (definition.spec, definition.names, True):
            self._cache.adopt(kinds[definition.storage["name"]].resource, selectable.view(kinds))
        self._unregister(name)
        self._rows[name] = tuple(kind.resource for kind in kinds.values())
        self._registry.kinds.update({kind.resource: kind for kind in kinds.values()})
        rows = {version["name"]: kinds[version["name"]].resource for version in definition.served}
        described: dict[str, Callable[[], Object]] = {}
        for version in definition.served:
            row = rows[version["name"]]
            title = definition_name(row)
            schema = schema_of(version) if definition.structural else {}
            described[title] = partial(publish.definition, row, schema)
            described[list_definition_name(row)] = partial(publish.list_definition, row, title)
        self._catalog.set(name, tuple(rows.values()), described)

    def _forget(self, name: str) -> None:
        definition = self._known.pop(name, None)
        self._catalog.set(name, ())
        self._unregister(name)
        if definition is None:
            return
        self._cache.release(definition.storage_id)
        for other in self._group(definition.group, name):
            self._queue.add(other.name)

    def _unregister(self, name: str) -> None:
        for row in self._rows.pop(name, ()):
            self._registry.kinds.pop(row, None)

    def _group(self, group: str, but: str) -> Iterator[Definition]:
        return (one for one in self._known.values() if one.group == group and one.name != but)

    async def _work(self) -> None:
        while True:
            try:
                name = await self._queue.get()
            except QueueClosed:
                return
            try:
                await self._reconcile(name)
            except (errors.ApiError, StorageError, cleanup.Remaining) as error:
                log.debug("custom resource definition %s: %s", name, error)
                self._queue.add_rate_limited(name)
            except Exception:  # a mistake with one must not end the work on the others
                log.exception("custom resource definition %s failed", name)
                self._queue.add_rate_limited(name)
            else:
                self._queue.forget(name)
            self._queue.done(name)

    async def _reconcile(self, name: str) -> None:
        entry = self._cache.get(DEFINITIONS, "", name)
        if entry is None:
            return
        obj = decoded(entry)
        if obj["metadata"].get("deletionTimestamp"):
            await cleanup.clean_up(self._registry, self._cache, Definition(obj))
            return
        others = [one.obj for one in self._group(obj["spec"]["group"], name)]
        wanted = conditions.status(obj, others, self._now())
        if wanted == obj.get("status"):
            return
        write = Write(SELF, DEFINITIONS, "", name, subresource="status")

        def change(old: Object) -> Object:
            return {**old, "status": conditions.status(old, others, self._now())}

        await change_object(self._registry, write, change)
        if wanted["acceptedNames"] != (obj.get("status") or {}).get("acceptedNames"):
            for other in self._group(obj["spec"]["group"], name):
                self._queue.add(other.name)

    def _now(self) -> str:
        return meta.now_rfc3339(self._registry.clock.now())
