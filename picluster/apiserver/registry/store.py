"""Reading and writing whole objects: the watch cache to read from, the backend to write to, in the API's terms."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Any

import orjson

from picluster.api import errors, serialize
from picluster.api.resources import Resource
from picluster.api.types import Object
from picluster.apiserver.cache.index import Entry
from picluster.apiserver.cache.watchcache import WatchCache
from picluster.apiserver.metrics import Metrics
from picluster.storage.backend import Backend, RevisionMismatch

WRITE_ATTEMPTS_MAX = 100
"""How often an unconditional change is tried again when somebody else was faster."""


class Store:
    """Every ``dry_run`` does all but the write itself.

    ``stale`` are keys, as the backend has them, that are to be written anew also when nothing of the object changes.
    """

    def __init__(
        self, backend: Backend, cache: WatchCache, metrics: Metrics, stale: Collection[str] = frozenset()
    ) -> None:
        self.cache = cache
        self._backend = backend
        self._stale = stale
        self._created = metrics.store_seconds.labels("create")
        self._updated = metrics.store_seconds.labels("update")
        self._deleted = metrics.store_seconds.labels("delete")

    def get(self, resource: Resource, namespace: str, name: str) -> Entry:
        """The live entry; raises ``ApiError`` 404."""
        entry = self.cache.get(resource, namespace, name)
        if entry is None:
            raise errors.not_found(resource.group, resource.plural, name)
        return entry

    def is_stale(self, resource: Resource, entry: Entry) -> bool:
        """Whether ``entry`` is to be written anew although nothing of it changes."""
        return bool(self._stale) and f"{resource.stored_as}/{entry.key}" in self._stale

    async def create(self, resource: Resource, obj: Object, *, dry_run: bool = False) -> bytes:
        """Write a new object and return its wire bytes; raises ``ApiError`` 409 if the name is taken."""
        metadata = obj["metadata"]
        key = f"{metadata.get('namespace', '')}/{metadata['name']}"
        stored = serialize.encode(obj)
        if dry_run:
            if key in self.cache.collection(resource).entries:
                raise errors.already_exists(resource.group, resource.plural, metadata["name"])
            return serialize.unwritten(stored)
        return await self.add(resource, key, stored)

    async def add(self, resource: Resource, key: str, stored: bytes) -> bytes:
        """``create`` of an object's stored form; ``key`` is ``namespace/name``."""
        started_s = time.perf_counter()
        try:
            revision = await self._backend.put(f"{resource.stored_as}/{key}", stored, 0)
        except RevisionMismatch:
            raise errors.already_exists(resource.group, resource.plural, key.partition("/")[2]) from None
        self._created.observe(time.perf_counter() - started_s)
        return serialize.splice(stored, revision)

    async def replace(
        self, resource: Resource, entry: Entry, obj: Object, *, dry_run: bool = False, durable: bool = True
    ) -> bytes:
        """Write ``obj`` over ``entry`` and return its wire bytes; nothing is written when nothing changes.

        Raises ``RevisionMismatch`` when ``entry`` is no longer the live state.
        """
        stored = serialize.encode(obj)
        wire = serialize.splice(stored, entry.revision)
        if dry_run or (wire == entry.wire and not self.is_stale(resource, entry)):
            return wire
        started_s = time.perf_counter()
        key = f"{resource.stored_as}/{entry.key}"
        revision = await self._backend.put(key, stored, entry.revision, durable=durable)
        self._updated.observe(time.perf_counter() - started_s)
        return serialize.splice(stored, revision)

    async def delete(self, resource: Resource, entry: Entry, *, dry_run: bool = False) -> None:
        """Delete ``entry``; raises ``RevisionMismatch`` when it is no longer the live state."""
        if dry_run:
            return
        started_s = time.perf_counter()
        await self._backend.delete(f"{resource.stored_as}/{entry.key}", entry.revision)
        self._deleted.observe(time.perf_counter() - started_s)


def decoded(entry: Entry) -> Object:
    """The object of an entry, whole and one's own."""
    obj: Any = orjson.loads(entry.wire)
    assert isinstance(obj, dict)
    return obj
