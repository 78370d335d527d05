"""What is said of a flow schema whose priority level is missing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

import orjson

from picluster.api import errors, meta
from picluster.api.resources import FLOW_SCHEMAS, PRIORITY_LEVEL_CONFIGURATIONS
from picluster.api.types import Object
from picluster.apiserver.authn import User
from picluster.apiserver.cache.history import Change
from picluster.apiserver.registry.registry import Registry, Write
from picluster.apiserver.registry.update import change_object
from picluster.storage.backend import StorageError

log = logging.getLogger(__name__)


class DanglingSchemas:
    """Keeps the condition ``Dangling`` of flow schemas: whether the priority level that one names is missing."""

    def __init__(self, registry: Registry, user: User) -> None:
        self._registry = registry
        self._user = user
        self._changed: set[str] = set()
        self._wake = asyncio.Event()

    def start(self) -> None:
        """Look at every schema once, and at each one that may have become another."""
        cache = self._registry.store.cache
        schemas = cache.collection(FLOW_SCHEMAS)
        schemas.listeners.append(lambda change: self._look_at([change.key]))
        cache.collection(PRIORITY_LEVEL_CONFIGURATIONS).listeners.append(self._on_level)
        self._look_at(schemas.entries)

    async def run(self) -> None:
        """Until cancelled: bounded by the number of schemas, since each is in the set once."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._changed:
                await self._note(self._changed.pop().rpartition("/")[2])

    def _on_level(self, change: Change) -> None:
        if change.old is None or change.new is None:
            self._look_at(self._registry.store.cache.collection(FLOW_SCHEMAS).entries)

    def _look_at(self, keys: Iterable[str]) -> None:
        self._changed.update(keys)
        self._wake.set()

    async def _note(self, name: str) -> None:
        entry = self._registry.store.cache.get(FLOW_SCHEMAS, "", name)
        if entry is None or self._with_condition(schema := orjson.loads(entry.wire)) == schema:
            return
        try:
            await change_object(
                self._registry, Write(self._user, FLOW_SCHEMAS, "", name, "status"), self._with_condition
            )
        except (errors.ApiError, StorageError) as error:
            log.info("the condition of flow schema %s is not written: %s", name, error)

    def _with_condition(self, schema: Object) -> Object:
        level = schema["spec"]["priorityLevelConfiguration"]["name"]
        found = self._registry.store.cache.get(PRIORITY_LEVEL_CONFIGURATIONS, "", level) is not None
        conditions = list((schema.get("status") or {}).get("conditions") or ())
        meta.set_condition(conditions, dangling(level, found=found), meta.now_rfc3339(self._registry.clock.now()))
        return {**schema, "metadata": dict(schema["metadata"]), "status": {"conditions": conditions}}


def dangling(level: str, *, found: bool) -> Object:
    """What is said of a schema that names ``level``."""
    refers = f'This FlowSchema references the PriorityLevelConfiguration object named "{level}"'
    return {
        "type": "Dangling",
        "status": "False" if found else "True",
        "reason": "Found" if found else "NotFound",
        "message": f"{refers} and it exists" if found else f"{refers} but there is no such object",
    }
