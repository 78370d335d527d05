"""Objects that plugins look at for many requests, decoded once for each revision.

The watch cache keeps bytes; a quota or a limit range that every pod of a namespace is held against need not be read
anew for each.
"""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from picluster.api.resources import Resource
from picluster.api.types import Object
from picluster.apiserver.cache.index import Entry
from picluster.apiserver.cache.selection import select
from picluster.apiserver.cache.watchcache import WatchCache

KEPT_MAX = 1024


class Live:
    """The live objects of one resource; nobody may change what it gives."""

    def __init__(self, cache: WatchCache, resource: Resource) -> None:
        self._cache = cache
        self._resource = resource
        self._kept: dict[str, tuple[int, Object]] = {}

    def __bool__(self) -> bool:
        """Whether there are any; costs nothing."""
        return bool(self._cache.collection(self._resource).entries)

    def get(self, namespace: str, name: str) -> Object | None:
        entry = self._cache.get(self._resource, namespace, name)
        return None if entry is None else self._decoded(entry)

    def within(self, namespace: str) -> Iterator[Object]:
        """Those of a namespace (empty: all), in the order of their names."""
        for entry in self._cache.collection(self._resource).select(select(self._resource, namespace, "", "")):
            yield self._decoded(entry)

    def _decoded(self, entry: Entry) -> Object:
        kept = self._kept.get(entry.key)
        if kept is None or kept[0] != entry.revision:
            if len(self._kept) >= KEPT_MAX:
                self._kept.clear()
            kept = self._kept[entry.key] = (entry.revision, orjson.loads(entry.wire))
        return kept[1]
