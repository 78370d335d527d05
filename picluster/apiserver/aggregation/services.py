"""The APIServices as they are at this moment, and what of the API they give to other servers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import orjson

from picluster.api.resources import API_SERVICES
from picluster.api.types import Object
from picluster.apiserver.aggregation.priorities import Priority, priority
from picluster.apiserver.cache.history import Change
from picluster.apiserver.cache.watchcache import WatchCache
from picluster.apiserver.catalog import Catalog

log = logging.getLogger(__name__)

GroupVersion = tuple[str, str]


@dataclass(frozen=True, slots=True)
class ApiService:
    """One APIService; ``service`` is empty when the group-version is served here."""

    name: str
    group: str
    version: str
    priority: Priority
    namespace: str = ""
    service: str = ""
    port: int = 443
    ca_bundle: str = ""
    skip_verify: bool = False
    available: bool = False

    @property
    def local(self) -> bool:
        return not self.service

    @property
    def path(self) -> str:
        """Where the group-version is served."""
        return f"/apis/{self.group}/{self.version}"


def read(obj: Object) -> ApiService:
    spec, service = obj["spec"], obj["spec"].get("service") or {}
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return ApiService(
        obj["metadata"]["name"],
        spec.get("group") or "",
        spec["version"],
        Priority(spec.get("groupPriorityMinimum") or 0, spec.get("versionPriority") or 0),
        service.get("namespace") or "",
        service.get("name") or "",
        service.get("port") or 443,
        spec.get("caBundle") or "",
        bool(spec.get("insecureSkipTLSVerify")),
        any(each.get("type") == "Available" and each.get("status") == "True" for each in conditions),
    )


class ApiServices:
    """Follows the objects; ``listeners`` hear the name of each that has changed or gone."""

    def __init__(self, cache: WatchCache, catalog: Catalog) -> None:
        self._collection = cache.collection(API_SERVICES)
        self._catalog = catalog
        self._known: dict[str, ApiService] = {}
        self.delegated: dict[GroupVersion, ApiService] = {}
        self.listeners: list[Callable[[str], None]] = []

    def start(self) -> None:
        for entry in self._collection.entries.values():
            self._known[entry.name] = read(orjson.loads(entry.wire))
        self._tell({})
        self._collection.listeners.append(self._on_change)

    def get(self, name: str) -> ApiService | None:
        return self._known.get(name)

    def __iter__(self) -> Iterator[ApiService]:
        return iter(self._known.values())

    def priority(self, group: str, version: str) -> Priority:
        """What an APIService says, or else what is usual."""
        known = self._known.get(f"{version}.{group}")
        return known.priority if known is not None else priority(group, version)

    def priorities(self, served: Iterable[GroupVersion]) -> dict[GroupVersion, Priority]:
        """Of every group-version that is served here or elsewhere."""
        return {each: self.priority(*each) for each in dict.fromkeys((*served, *self.delegated))}

    def _on_change(self, change: Change) -> None:
        name, before = change.key.partition("/")[2], dict(self._known)
        try:
            if change.new is None:
                self._known.pop(name, None)
            else:
                self._known[name] = read(orjson.loads(change.new.wire))
        except Exception:  # the cache goes on, whatever an APIService says
            log.exception("APIService %s cannot be read", name)
            return
        self._tell(before)
        for listener in self.listeners:
            listener(name)

    def _tell(self, before: dict[str, ApiService]) -> None:
        """Give the catalog what it must know: what is delegated, and whether the order has changed."""
        self.delegated = {(one.group, one.version): one for one in self if one.group and not one.local}
        self._catalog.delegate(frozenset(self.delegated))
        if self._order(before) != self._order(self._known):
            self._catalog.changed()

    def _order(self, known: dict[str, ApiService]) -> dict[str, Priority]:
        """The priorities that are not what they are without the object."""
        return {
            name: one.priority
            for name, one in known.items()
            if not one.local or one.priority != priority(one.group, one.version)
        }
