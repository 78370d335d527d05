"""Collections of custom resources in the watch cache: found before they are known, and forgotten when they are gone."""

from __future__ import annotations

from typing import Any

import pytest

from picluster.api import serialize
from picluster.api.errors import ApiError
from picluster.api.resources import Resource
from picluster.apiserver.cache.selection import select
from picluster.apiserver.cache.watchcache import WatchCache
from picluster.storage.backend import Event, Record, Snapshot

ID = "widgets.example.com"


def row(*indexed: str) -> Resource:
    fields = ("metadata.name", "metadata.namespace", *indexed)
    return Resource(
        "example.com", "v1", "Widget", "widgets", "", fields=fields, indexed=tuple(f"v1/{path}" for path in indexed)
    )


def stored(name: str, **spec: Any) -> bytes:
    return serialize.encode({"metadata": {"name": name, "namespace": "a", "labels": {"l": name}}, "spec": spec})


@pytest.fixture
def cache() -> WatchCache:
    """As after a restart: the store has objects, and deleted ones, before anybody says what they are."""
    cache = WatchCache()
    records = [Record(f"{ID}/a/{name}", stored(name, size=size), revision) for revision, (name, size) in
               enumerate((("x", 1), ("y", "one"), ("z", None)), 1)]  # fmt: skip
    history = [Event(4, "gadgets.example.com/a/gone", None)]
    cache.load(Snapshot(4, 3, records, history))
    return cache


def names(cache: WatchCache, resource: Resource, selector: str = "") -> list[str]:
    found = cache.collection(resource).select(select(resource, "a", "", selector))
    return [entry.name for entry in found]


def test_objects_of_what_is_not_known_yet_are_kept(cache: WatchCache) -> None:
    cache.adopt(row())
    assert names(cache, row()) == ["x", "y", "z"]
    entry = cache.get(row(), "a", "x")
    assert entry is not None
    assert entry.labels == {"l": "x"}


@pytest.mark.parametrize(("selector", "found"), [("1", ["x"]), ("one", ["y"]), ("", ["z"])])
def test_fields_are_compared_as_text_whatever_they_hold(cache: WatchCache, selector: str, found: list[str]) -> None:
    cache.adopt(row())
    cache.adopt(row("spec.size"))
    assert names(cache, row("spec.size"), f"spec.size={selector}") == found


def test_filtered_watches_cannot_go_back_behind_new_fields(cache: WatchCache) -> None:
    cache.adopt(row())
    cache.apply([Event(5, f"{ID}/a/x", stored("x", size=2))])
    collection = cache.adopt(row("spec.size"))
    selection = select(row("spec.size"), "a", "", "spec.size=2")
    with pytest.raises(ApiError, match="too old"):
        collection.changes(selection, 4)
    assert [change.revision for change in collection.changes(select(row("spec.size"), "a", "", ""), 4)] == [5]


def test_what_is_not_defined_any_more_goes_with_its_history(cache: WatchCache) -> None:
    cache.adopt(row())
    cache.apply([Event(5 + number, f"{ID}/a/{name}", None) for number, name in enumerate("xyz")])
    cache.forget(5)
    cache.release(ID)
    assert ID in cache.collections
    cache.forget(7)
    assert ID not in cache.collections
    assert "gadgets.example.com" not in cache.collections
    again = cache.adopt(row())
    with pytest.raises(ApiError, match="too old"):
        again.changes(select(row(), "a", "", ""), 6)


def test_what_is_defined_stays_though_it_is_empty(cache: WatchCache) -> None:
    empty = Resource("example.com", "v1", "Gadget", "gadgets", "")
    cache.adopt(empty)
    cache.forget(4)
    assert names(cache, empty) == []
