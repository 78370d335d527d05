"""The heart: what was committed becomes what everybody reads and is told.

Reads never reach the store. ``apply`` is called once for each commit, on the event loop, before the writers hear of it,
so a client that has got its answer finds its write in every later answer. There is one place where the world changes,
and it never waits: within ``apply`` each event

1. becomes an index entry over the object's bytes (the live state), and a change in the history of its resource,
2. is offered to the watchers that may see it: by key, by node, by namespace, or to those that see everything,
3. moves ``revision``, and wakes who waits for that revision.

Whoever was offered something is flushed once the event loop has run what is ready, so that the events of one commit, or
of several writers answered together, leave as one write to each connection.

A watch starts without a gap because taking the state and registering the watcher happen in one step of the event loop.
It ends when its client goes, when its time is over, or when it has fallen too far behind; it is never waited for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from picluster.api import errors
from picluster.api.resources import STORED, Resource
from picluster.api.serialize import PREFIX, splice
from picluster.apiserver.cache.collection import Collection, ReadView
from picluster.apiserver.cache.history import Change
from picluster.apiserver.cache.index import Entry
from picluster.apiserver.cache.watcher import Representation, Watcher, frame
from picluster.storage.backend import Event, Snapshot

BOOKMARK_INTERVAL_S = 60.0
INITIAL_EVENTS_END = "k8s.io/initial-events-end"


class WatchCache:
    """``revision`` is that of the last applied event."""

    def __init__(self, resources: Iterable[Resource] = STORED) -> None:
        self.revision = 0
        self._forgotten = 0
        self.collections = {resource.stored_as: Collection(resource) for resource in resources}
        self._dirty: dict[Watcher, None] = {}
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []

    def load(self, snapshot: Snapshot) -> None:
        """Begin with what the store holds."""
        self._forgotten = snapshot.compacted
        live: dict[Collection, list[Entry]] = {}
        for key, value, revision in snapshot.records:
            collection, name = self._locate(key)
            live.setdefault(collection, []).append(collection.entry(name, revision, splice(value, revision)))
        for collection, entries in live.items():
            collection.fill(entries)
        for collection in self.collections.values():
            collection.history.lift(snapshot.compacted, filtered_only=False)
        self._replay(snapshot.history)
        self.revision = snapshot.revision

    def apply(self, events: Sequence[Event]) -> None:
        """The store's callback: ``events`` are committed, in revision order, each exactly once."""
        for revision, key, value in events:
            collection, name = self._locate(key)
            new = None if value is None else collection.entry(name, revision, splice(value, revision))
            change = Change(revision, name, collection.set(name, new), new)
            collection.history.append(change)
            for listener in collection.listeners:
                listener(change)
            if collection.watchers:
                if not self._dirty:
                    asyncio.get_running_loop().call_soon(self._flush)
                collection.dispatch(change, self._dirty)
            self.revision = revision
        if self._waiting:
            self._wake()

    def adopt(self, resource: Resource, view: ReadView | None = None) -> Collection:
        """Keep the objects of a custom resource; what the store held of it before it was known is there already."""
        collection = self.collections.get(resource.stored_as)
        if collection is None:
            collection = self.collections[resource.stored_as] = Collection(resource)
            collection.history.lift(self._forgotten, filtered_only=False)
        collection.adopt(resource, self.revision, view)
        return collection

    def release(self, stored_as: str) -> None:
        """A custom resource is not defined any more: its watches end, and what is left of it is kept without a name."""
        if stored_as in self.collections:
            self.adopt(_nameless(stored_as))

    def collection(self, resource: Resource) -> Collection:
        return self.collections[resource.stored_as]

    def get(self, resource: Resource, namespace: str, name: str) -> Entry | None:
        return self.collections[resource.stored_as].entries.get(f"{namespace}/{name}")

    async def wait_for(self, revision: int, timeout_s: float) -> bool:
        """Wait until ``revision`` has been applied; False when it was not in time."""
        if revision <= self.revision:
            return True
        reached: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((revision, reached))
        done, _ = await asyncio.wait([reached], timeout=timeout_s)
        self._waiting = [waiting for waiting in self._waiting if waiting[1] is not reached]
        return bool(done)

    def send_bookmarks(self) -> None:
        """Tell every watcher that asked for it up to where it has seen everything."""
        self._flush()
        for collection in self.collections.values():
            frames: dict[str, bytes] = {}
            for watcher in list(collection.watchers):
                if watcher.bookmarks and watcher.representation.name not in frames:
                    frames[watcher.representation.name] = self.bookmark(collection.resource, watcher.representation)
                if watcher.bookmarks:
                    watcher.offer_frame(frames[watcher.representation.name])
                    watcher.flush()

    def bookmark(self, resource: Resource, representation: Representation, *, initial_end: bool = False) -> bytes:
        """The frame that says: up to the present revision you have seen everything."""
        note = b',"annotations":{"%b":"true"}' % INITIAL_EVENTS_END.encode() if initial_end else b""
        body = b'%b%d"%b},"kind":"%b","apiVersion":"%b"}' % (
            PREFIX, self.revision, note, resource.kind.encode(), resource.api_version.encode(),
        )  # fmt: skip
        return frame("BOOKMARK", representation.bookmark(body))

    def forget(self, revision: int) -> None:
        """Drop the history at or below ``revision``, as the store does when it compacts."""
        self._forgotten = max(self._forgotten, revision)
        for name, collection in list(self.collections.items()):
            collection.history.forget(revision)
            if collection.resource == _nameless(name) and collection.is_empty:
                del self.collections[name]

    def undo(self, resource: Resource, revision: int) -> dict[str, Entry | None]:
        """``Collection.undo``; what is compacted is past for every collection, also one that did not change since."""
        if revision < self._forgotten:
            raise errors.expired("The resourceVersion for the provided list is too old.")
        return self.collection(resource).undo(revision)

    def end_watches(self) -> None:
        """Let every watch end in order: the server stops."""
        self._flush()
        for collection in self.collections.values():
            for watcher in list(collection.watchers):
                watcher.end()

    def _locate(self, key: str) -> tuple[Collection, str]:
        resource_id, _, name = key.partition("/")
        collection = self.collections.get(resource_id)
        if collection is None:
            collection = self.adopt(_nameless(resource_id))
        return collection, name

    def _flush(self) -> None:
        dirty, self._dirty = self._dirty, {}
        for watcher in dirty:
            watcher.flush()

    def _wake(self) -> None:
        for revision, reached in self._waiting:
            if revision <= self.revision and not reached.done():
                reached.set_result(None)

    def _replay(self, events: Sequence[Event]) -> None:
        """Fill the histories with what came before this start; a key's state before its first event is unknown."""
        states: dict[str, Entry | None] = {}
        for revision, key, value in events:
            collection, name = self._locate(key)
            live = collection.entries.get(name)
            if value is None:
                new = None
            elif live is not None and live.revision == revision:
                new = live
            else:
                new = collection.entry(name, revision, splice(value, revision))
            if key not in states:
                collection.history.lift(revision, filtered_only=new is not None)
            collection.history.append(Change(revision, name, states.get(key), new))
            states[key] = new


def _nameless(stored_as: str) -> Resource:
    """The row for objects of which nothing but the place in storage is known."""
    plural, _, group = stored_as.partition(".")
    return Resource(group, "", "", plural, "")
