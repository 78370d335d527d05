"""All live objects of one resource, in order, with their history and their watchers."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator

from picluster.api import errors
from picluster.api.resources import Resource
from picluster.apiserver.cache.history import Change, History
from picluster.apiserver.cache.index import Alike, Entry, View, indexer_of
from picluster.apiserver.cache.selection import NODE_NAME, Selection
from picluster.apiserver.cache.sortedkeys import SortedKeys
from picluster.apiserver.cache.watcher import Frames, Watcher

ReadView = Callable[[bytes], View]


class Collection:
    """``listeners`` are called with every change as it is applied; they must be quick and never raise.

    ``sent`` counts events that were offered to live watches, ``dropped`` watches that were too slow for theirs.
    """

    def __init__(self, resource: Resource) -> None:
        self.resource = resource
        self.entries: dict[str, Entry] = {}
        self.history = History()
        self.watchers: dict[Watcher, None] = {}
        self.listeners: list[Callable[[Change], None]] = []
        self.sent = 0
        self.dropped = 0
        self._keys = SortedKeys()
        self._alike = Alike()
        self._view: ReadView = indexer_of(resource).view
        self._node_at = indexer_of(resource).position(NODE_NAME) if NODE_NAME in resource.fields else -1
        self._by_node: dict[str, dict[str, Entry]] = {}
        # Watchers by the narrowest thing that all they can see has in common; each is in one of these.
        self._watching: dict[tuple[str, str], dict[Watcher, None]] = {}

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def is_empty(self) -> bool:
        """Nothing is kept, remembered or watched."""
        return not (self.entries or len(self.history) or self.watchers)

    def entry(self, key: str, revision: int, wire: bytes) -> Entry:
        """The index entry of an object's bytes."""
        labels, fields = self._alike.view(self._view(wire))
        return Entry(key, revision, wire, labels, fields)

    def fill(self, entries: Iterable[Entry]) -> None:
        """Begin with ``entries``; nothing was there before."""
        self.entries = {entry.key: entry for entry in entries}
        self._keys = SortedKeys(self.entries)
        if self._node_at >= 0:
            for key, entry in self.entries.items():
                self._index_node(key, None, entry)

    def adopt(self, resource: Resource, revision: int, view: ReadView | None = None) -> None:
        """Keep the objects as those of ``resource``: what selects them may have changed, so that watches end.

        ``view`` reads what the index of the resource would, where that is not to be seen in the stored bytes.
        """
        if view is not None or indexer_of(resource).paths != indexer_of(self.resource).paths:
            self._view = view or indexer_of(resource).view
            for entry in self.entries.values():
                entry.labels, entry.fields = self._view(entry.wire)
            self.history.lift(revision, filtered_only=True)
        self.resource = resource
        for watcher in list(self.watchers):
            watcher.end()

    def set(self, key: str, new: Entry | None) -> Entry | None:
        """Make ``new`` the live state of ``key`` and return the state before."""
        old = self.entries.get(key)
        if new is None:
            if old is not None:
                del self.entries[key]
                self._keys.remove(key)
        else:
            self.entries[key] = new
            if old is None:
                self._keys.add(key)
        if self._node_at >= 0:
            self._index_node(key, old, new)
        return old

    def dispatch(self, change: Change, dirty: dict[Watcher, None]) -> None:
        """Offer ``change`` to every watcher that may see it; who has something to flush is added to ``dirty``."""
        frames: Frames = {}
        sent = 0
        for place in self._places(change):
            for watcher in self._watching.get(place, ()):
                if watcher.offer(change, frames):
                    dirty[watcher] = None
                    sent += 1
        self.sent += sent

    def watch(self, watcher: Watcher) -> None:
        self.watchers[watcher] = None
        self._watching.setdefault(_place(watcher.selection), {})[watcher] = None

    def unwatch(self, watcher: Watcher) -> None:
        """Safe for a watcher that is not there."""
        if watcher in self.watchers:
            del self.watchers[watcher]
            self.dropped += watcher.dropped
        place = _place(watcher.selection)
        if (watching := self._watching.get(place)) is not None:
            watching.pop(watcher, None)
            if not watching:
                del self._watching[place]

    def node_of(self, entry: Entry) -> str:
        """The node that a pod is bound to, empty if none."""
        return entry.fields[self._node_at]

    def on_node(self, node: str) -> list[Entry]:
        """The pods bound to ``node``, in no order."""
        return list(self._by_node.get(node, {}).values())

    def select(
        self, selection: Selection, start: str = "", undo: dict[str, Entry | None] | None = None
    ) -> Iterator[Entry]:
        """What matches, in the order of the keys, from ``start`` on; with ``undo``, as it was then."""
        found = self._candidates(selection, start, undo or {})
        return found if selection.match is None else filter(selection.match, found)

    def count(self, selection: Selection, start: str, undo: dict[str, Entry | None]) -> int:
        """How many objects an unfiltered ``select`` would give."""
        low, high = selection.span
        low = max(low, start)
        shifted = 0
        for key, entry in undo.items():
            if key >= low and (high is None or key < high):
                shifted += (entry is not None) - (key in self.entries)
        return self._keys.count(low, high) + shifted

    def undo(self, revision: int) -> dict[str, Entry | None]:
        """What differed at ``revision``; raises ``ApiError`` 410 when that is forgotten."""
        if revision < self.history.filtered_floor:
            raise errors.expired("The resourceVersion for the provided list is too old.")
        return self.history.undo(revision)

    def changes(self, selection: Selection, revision: int) -> list[Change]:
        """What a watch from ``revision`` has missed; raises ``ApiError`` 410 when that is forgotten."""
        history = self.history
        floor = history.floor if selection.match is None else history.filtered_floor
        if revision < floor:
            raise errors.expired(f"too old resource version: {revision} ({floor})")
        low, high = selection.span
        missed = history.after(revision)
        if not selection.namespace:
            return missed
        return [change for change in missed if low <= change.key and (high is None or change.key < high)]

    def _candidates(self, selection: Selection, start: str, undo: dict[str, Entry | None]) -> Iterator[Entry]:
        low, high = selection.span
        low = max(low, start)

        def within(key: str) -> bool:
            return key >= low and (high is None or key < high)

        live: Iterable[str]
        if selection.key:
            live = [selection.key] if selection.key in self.entries and within(selection.key) else []
        elif selection.node:
            live = sorted(filter(within, self._by_node.get(selection.node, ())))
        else:
            live = self._keys.span(low, high)
        if not undo:
            return map(self.entries.__getitem__, live)
        then = sorted(key for key, entry in undo.items() if entry is not None and within(key))
        keys = heapq.merge((key for key in live if key not in undo), then)
        return (undo.get(key) or self.entries[key] for key in keys)

    def _index_node(self, key: str, old: Entry | None, new: Entry | None) -> None:
        was = old.fields[self._node_at] if old is not None else ""
        now = new.fields[self._node_at] if new is not None else ""
        if was and was != now:
            pods = self._by_node[was]
            del pods[key]
            if not pods:
                del self._by_node[was]
        if now and new is not None:
            self._by_node.setdefault(now, {})[key] = new

    def _places(self, change: Change) -> list[tuple[str, str]]:
        key = change.key
        places = [("", ""), ("key", key), ("namespace", key.partition("/")[0])]
        if self._node_at >= 0:
            nodes = {entry.fields[self._node_at] for entry in (change.old, change.new) if entry is not None}
            places.extend(("node", node) for node in nodes if node)
        return places


def _place(selection: Selection) -> tuple[str, str]:
    if selection.key:
        return ("key", selection.key)
    if selection.node:
        return ("node", selection.node)
    return ("namespace", selection.namespace) if selection.namespace else ("", "")
