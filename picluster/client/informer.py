"""A cache of one collection that follows the server: list, watch, resume, list again when the history is gone.

``run`` lists once and watches from there. A watch that ends or breaks is resumed at the last seen resourceVersion
(bookmarks move it along); 410 means the history is gone, so the collection is listed again and the difference is told
to the handlers as if it had been watched. The cache is changed before its handlers hear of it, and handlers run on the
event loop, one event after the other. What they get is shared by everybody and must not be changed.

``transform`` trims each object before it is kept, which is how a small board holds a large collection.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Collection, Iterable, Mapping

from picluster.api.errors import ApiError
from picluster.api.meta import key_of
from picluster.api.resources import Resource
from picluster.api.types import Object
from picluster.client.transport import Client, TransportError
from picluster.client.watch import BOOKMARK, DELETED
from picluster.util.backoff import Backoff

log = logging.getLogger(__name__)

Handler = Callable[[Object | None, Object | None], None]
"""``(old, new)``: no old is an addition, no new a deletion."""
IndexFunction = Callable[[Object], str | Iterable[str] | None]
"""The values under which an object is found: one, several, or none."""

PAGE_SIZE = 500
RETRY_MIN_S = 0.1
RETRY_MAX_S = 5.0
WATCH_MIN_S = 240
WATCH_HEALTHY_S = 1.0
"""A watch that ended sooner, with nothing to tell, counts as a failure to be paced."""


class Informer:
    """Keep a collection, or what a selector leaves of it. All methods but ``run`` and ``wait_synced`` are immediate."""

    def __init__(
        self,
        client: Client,
        resource: Resource,
        *,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        indexers: Mapping[str, IndexFunction] | None = None,
        transform: Callable[[Object], Object] | None = None,
    ) -> None:
        self.resource = resource
        self.resource_version = ""
        self._client = client
        self._namespace = namespace
        self._label_selector = label_selector
        self._field_selector = field_selector
        self._transform = transform
        self._objects: dict[str, Object] = {}
        self._indexers: dict[str, IndexFunction] = {}
        self._indices: dict[str, dict[str, dict[str, Object]]] = {}
        self._handlers: list[Handler] = []
        self._synced = asyncio.Event()
        self._heard = False
        for name, function in (indexers or {}).items():
            self.add_indexer(name, function)

    def add_handler(self, handler: Handler) -> None:
        """Tell ``handler`` every change from now on, and as additions what is here already."""
        self._handlers.append(handler)
        for obj in list(self._objects.values()):
            self._tell(handler, None, obj)

    def add_indexer(self, name: str, function: IndexFunction) -> None:
        """Make ``index(name, …)`` answer; the same name again replaces its function."""
        self._indexers[name] = function
        self._indices[name] = {}
        for key, obj in self._objects.items():
            self._index(name, function, key, None, obj)

    @property
    def synced(self) -> bool:
        """Whether the first list is in the cache, and told."""
        return self._synced.is_set()

    async def wait_synced(self) -> None:
        await self._synced.wait()

    def get(self, key: str) -> Object | None:
        return self._objects.get(key)

    def values(self) -> Collection[Object]:
        """A live view; copy it before awaiting in a loop over it."""
        return self._objects.values()

    def keys(self) -> Collection[str]:
        return self._objects.keys()

    def index(self, name: str, value: str) -> list[Object]:
        """The objects for which the indexer ``name`` says ``value``."""
        return list(self._indices[name].get(value, {}).values())

    def __len__(self) -> int:
        return len(self._objects)

    async def run(self) -> None:
        """Follow the server until cancelled; failures are logged and tried again, less and less often."""
        backoff = Backoff(RETRY_MIN_S, RETRY_MAX_S, jitter=0.5)
        while True:
            self._heard = False
            started_s = self._client.clock.monotonic()
            failure: Exception | None = None
            try:
                if not self.resource_version:
                    await self._list()
                await self._watch()
            except ApiError as error:
                failure = error
                if error.code in (400, 410, 504):  # the revision is gone, or one that the server never had
                    self.resource_version = ""
            except TransportError as error:
                failure = error
            healthy = self._heard or self._client.clock.monotonic() - started_s >= WATCH_HEALTHY_S
            if healthy:
                backoff.reset()
                if failure is None:
                    continue
            delay_s = backoff.next_s()
            if failure is not None:
                level = logging.INFO if _is_usual(failure) else logging.WARNING
                log.log(level, "%s: %s; trying again in %.1f s", self.resource.id, failure, delay_s)
            await self._client.clock.sleep(delay_s)

    async def _list(self) -> None:
        found: dict[str, Object] = {}
        page = await self._page(PAGE_SIZE)
        self._collect(page, found)
        while continue_ := page["metadata"].get("continue"):
            try:
                page = await self._page(PAGE_SIZE, continue_)
            except ApiError as error:
                if error.code != 410:
                    raise
                found.clear()
                page = await self._page(0)
            self._collect(page, found)
        self._replace(found)
        self.resource_version = page["metadata"].get("resourceVersion", "")
        self._heard = True
        self._synced.set()

    async def _page(self, limit: int, continue_: str = "") -> Object:
        return await self._client.list(
            self.resource,
            namespace=self._namespace,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
            limit=limit,
            continue_=continue_,
        )

    def _collect(self, page: Object, found: dict[str, Object]) -> None:
        for obj in page["items"]:
            found[key_of(obj)] = self._transform(obj) if self._transform else obj

    def _replace(self, found: dict[str, Object]) -> None:
        for key in [key for key in self._objects if key not in found]:
            self._change(key, None)
        for key, obj in found.items():
            old = self._objects.get(key)
            if old is None or _version(old) != _version(obj):
                self._change(key, obj)

    async def _watch(self) -> None:
        timeout_s = random.randint(WATCH_MIN_S, 2 * WATCH_MIN_S)  # noqa: S311  spreads the watches' ends
        events = self._client.watch(
            self.resource,
            namespace=self._namespace,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
            resource_version=self.resource_version,
            timeout_s=timeout_s,
        )
        async with contextlib.aclosing(events):
            async for kind, obj in events:
                self._heard = True
                revision = _version(obj)
                if kind != BOOKMARK:
                    key = key_of(obj)
                    if kind == DELETED:
                        self._change(key, None, last=obj)
                    else:
                        self._change(key, self._transform(obj) if self._transform else obj)
                if revision:
                    self.resource_version = revision

    def _change(self, key: str, new: Object | None, last: Object | None = None) -> None:
        """Put ``new`` (or nothing) in the place of what is there, then tell it; ``last`` is a deleted object's end."""
        old = self._objects.get(key)
        if old is not None and new is not None and _uid(old) != _uid(new):  # deleted and made again, unseen
            self._change(key, None)
            old = None
        if new is not None:
            self._objects[key] = new
        elif old is not None:
            del self._objects[key]
        else:
            return
        for name, function in self._indexers.items():
            self._index(name, function, key, old, new)
        if new is None and last is not None:
            old = self._transform(last) if self._transform else last
        for handler in self._handlers:
            self._tell(handler, old, new)

    def _index(self, name: str, function: IndexFunction, key: str, old: Object | None, new: Object | None) -> None:
        index = self._indices[name]
        before = _values(function(old)) if old is not None else ()
        after = _values(function(new)) if new is not None else ()
        for value in before:
            if value not in after:
                bucket = index[value]
                del bucket[key]
                if not bucket:
                    del index[value]
        if new is not None:
            for value in after:
                index.setdefault(value, {})[key] = new

    def _tell(self, handler: Handler, old: Object | None, new: Object | None) -> None:
        try:
            handler(old, new)
        except Exception:  # one handler's mistake must not cost the others the event, nor everybody the cache
            log.exception("a handler of %s failed", self.resource.id)


def _is_usual(failure: Exception) -> bool:
    """What a restart, a busy server or a compaction causes; a refusal is somebody's mistake."""
    return isinstance(failure, TransportError) or getattr(failure, "code", 0) in (410, 429, 500, 503, 504)


def _values(result: str | Iterable[str] | None) -> tuple[str, ...]:
    if result is None:
        return ()
    return (result,) if isinstance(result, str) else tuple(dict.fromkeys(result))


def _version(obj: Object) -> str:
    return str(obj["metadata"].get("resourceVersion", ""))


def _uid(obj: Object) -> str:
    return str(obj["metadata"].get("uid", ""))
