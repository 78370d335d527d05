"""The watch cache against a model: whatever happens, a list and a watch from there give the truth, in order, once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picluster.api import serialize
from picluster.api.errors import ApiError
from picluster.api.resources import CORE_EVENTS, EVENTS, NODES, PODS, Resource
from picluster.apiserver.cache.collection import Collection
from picluster.apiserver.cache.history import History
from picluster.apiserver.cache.index import LABELS_MAX, Alike, View, indexer_of
from picluster.apiserver.cache.selection import select
from picluster.apiserver.cache.watchcache import INITIAL_EVENTS_END, WatchCache
from picluster.apiserver.cache.watcher import BACKLOG_MAX_BYTES, Watcher, frame
from picluster.apiserver.representation import Plain
from picluster.storage.backend import Event, Record, Snapshot

Object = dict[str, Any]


class Sink:
    """Collects frames, as a client that reads everything at once; ``backlog`` makes it one that does not read."""

    def __init__(self) -> None:
        self.data = b""
        self.backlog = 0

    def write(self, data: bytes) -> None:
        self.data += data

    def backlog_bytes(self) -> int:
        return self.backlog

    def events(self) -> list[Object]:
        """The events, with the chunked coding taken off."""
        found, rest = [], self.data
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            length = int(size, 16)
            found.append(orjson.loads(rest[:length]))
            assert rest[length : length + 2] == b"\r\n"
            rest = rest[length + 2 :]
        return found


def pod(namespace: str, name: str, labels: dict[str, str], node: str) -> Object:
    metadata = {"name": name, "namespace": namespace, "uid": "u", "labels": labels}
    return {"metadata": metadata, "kind": "Pod", "apiVersion": "v1", "spec": {"nodeName": node} if node else {}}


def put(revision: int, obj: Object) -> Event:
    metadata = obj["metadata"]
    return Event(revision, f"pods/{metadata['namespace']}/{metadata['name']}", serialize.encode(obj))


SELECTIONS = [
    ("", "", ""),
    ("a", "", ""),
    ("", "app=x", ""),
    ("", "app!=x", ""),
    ("b", "app in (x,y)", ""),
    ("", "", "spec.nodeName=n1"),
    ("a", "", "spec.nodeName=n1"),
    ("", "app=x", "spec.nodeName!=n1"),
    ("a", "", "metadata.name=p1"),
    ("", "", "metadata.name=p1"),
    ("", "", "metadata.namespace=b"),
    ("b", "!app", "spec.nodeName="),
]


@dataclass
class Watching:
    """A watcher, what it selects, and what its client has put together."""

    selection: tuple[str, str, str]
    watcher: Watcher
    sink: Sink
    state: dict[str, int]
    started: int
    read: int = 0


@dataclass
class World:
    """The cache, and what it should hold: state by revision, so that any past can be compared with."""

    cache: WatchCache = field(default_factory=WatchCache)
    live: dict[str, tuple[int, Object]] = field(default_factory=dict)
    past: dict[int, dict[str, tuple[int, Object]]] = field(default_factory=lambda: {0: {}})
    watching: list[Watching] = field(default_factory=list)

    def write(self, key: str, obj: Object | None) -> None:
        revision = self.cache.revision + 1
        if obj is None:
            if key not in self.live:
                return
            del self.live[key]
            event = Event(revision, f"pods/{key}", None)
        else:
            self.live[key] = (revision, obj)
            event = put(revision, obj)
        self.cache.apply([event])
        self.past[revision] = dict(self.live)

    def selected(self, selection: tuple[str, str, str], revision: int) -> dict[str, int]:
        return {key: at for key, (at, obj) in self.past[revision].items() if matches(selection, obj)}

    def watch(self, selection: tuple[str, str, str], revision: int) -> None:
        """Watch from a revision of the past, as a client that listed then."""
        collection, sink = self.cache.collection(PODS), Sink()
        watcher = Watcher(select(PODS, *selection), Plain(PODS), sink, bookmarks=False)
        try:
            missed = collection.changes(watcher.selection, revision)
        except ApiError as error:
            assert error.code == 410
            return
        collection.watch(watcher)
        for change in missed:
            sink.write(watcher.shown(change))
        watcher.go_live()
        self.watching.append(Watching(selection, watcher, sink, self.selected(selection, revision), revision))


def matches(selection: tuple[str, str, str], obj: Object) -> bool:
    """The selectors read by the simplest means; the model's side."""
    namespace, labels, fields = selection
    metadata = obj["metadata"]
    app, node = metadata["labels"].get("app"), obj["spec"].get("nodeName", "")
    label_ok = {
        "": True, "app=x": app == "x", "app!=x": app != "x", "app in (x,y)": app in ("x", "y"), "!app": app is None,
    }[labels]  # fmt: skip
    field_ok = {
        "": True, "spec.nodeName=n1": node == "n1", "spec.nodeName!=n1": node != "n1", "spec.nodeName=": node == "",
        "metadata.name=p1": metadata["name"] == "p1", "metadata.namespace=b": metadata["namespace"] == "b",
    }[fields]  # fmt: skip
    return namespace in ("", metadata["namespace"]) and label_ok and field_ok


def read(watching: Watching) -> None:
    """Follow the events like an informer that trusts nothing."""
    last = watching.started
    for event in watching.sink.events():
        metadata = event["object"]["metadata"]
        key, revision = f"{metadata['namespace']}/{metadata['name']}", int(metadata["resourceVersion"])
        assert revision > last, "events come once, and in the order of their revisions"
        last = revision
        if event["type"] == "ADDED":
            assert key not in watching.state
            watching.state[key] = revision
        elif event["type"] == "MODIFIED":
            assert key in watching.state
            watching.state[key] = revision
        else:
            assert event["type"] == "DELETED"
            del watching.state[key]


PODS_OF = st.builds(
    pod,
    st.sampled_from(["a", "b"]),
    st.sampled_from(["p1", "p2", "p3"]),
    st.sampled_from([{}, {"app": "x"}, {"app": "y"}, {"app": "z"}]),
    st.sampled_from(["", "n1", "n2"]),
)
WRITES = st.tuples(st.just("write"), PODS_OF)
DELETES = st.tuples(st.just("delete"), st.builds("{}/{}".format, st.sampled_from("ab"), st.sampled_from(["p1", "p2"])))
WATCHES = st.tuples(st.just("watch"), st.tuples(st.sampled_from(SELECTIONS), st.integers(0, 30)))
FORGETS = st.tuples(st.just("forget"), st.integers(0, 30))
PAUSES = st.tuples(st.just("pause"), st.none())


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(WRITES, WRITES, DELETES, WATCHES, FORGETS, PAUSES), max_size=40))
def test_no_event_is_lost_doubled_or_out_of_order_for_any_selector(steps: list[tuple[str, Any]]) -> None:
    asyncio.run(live_through(steps))


async def live_through(steps: list[tuple[str, Any]]) -> None:
    world = World()
    for action, value in steps:
        if action == "write":
            world.write(f"{value['metadata']['namespace']}/{value['metadata']['name']}", value)
        elif action == "delete":
            world.write(value, None)
        elif action == "watch":
            world.watch(value[0], min(value[1], world.cache.revision))
        elif action == "forget":
            world.cache.forget(min(value, world.cache.revision))
        else:
            await asyncio.sleep(0)
    await asyncio.sleep(0)
    for watching in world.watching:
        read(watching)
        assert watching.state == world.selected(watching.selection, world.cache.revision)
    check_lists(world)


def check_lists(world: World) -> None:
    """Every list of the present, and of every past that is still known, is what it was."""
    collection = world.cache.collection(PODS)
    for selection in SELECTIONS:
        compiled = select(PODS, *selection)
        for revision in range(collection.history.filtered_floor, world.cache.revision + 1):
            undo = collection.undo(revision)
            found = [(entry.key, entry.revision) for entry in collection.select(compiled, "", undo)]
            assert found == sorted(world.selected(selection, revision).items())
            if compiled.match is None:
                rest = [key for key, _ in found if key >= "a/p2"]
                assert collection.count(compiled, "a/p2", undo) == len(rest)


def snapshot(events: list[Event], compacted: int, *, history: bool = True) -> Snapshot:
    live: dict[str, Record] = {}
    for revision, key, value in events:
        live.pop(key, None)
        if value is not None:
            live[key] = Record(key, value, revision)
    kept = [event for event in events if event.revision > compacted] if history else []
    return Snapshot(events[-1].revision, compacted, list(live.values()), kept)


def test_a_watch_resumes_over_a_restart_of_the_server() -> None:
    events = [put(1, pod("a", "p1", {}, "")), put(2, pod("a", "p1", {}, "n1")), Event(3, "pods/a/p1", None)]
    cache = WatchCache()
    cache.load(snapshot([*events, put(4, pod("a", "p2", {}, ""))], 1))
    collection, everything = cache.collection(PODS), select(PODS, "", "", "")
    assert [change.revision for change in collection.changes(everything, 2)] == [3, 4]
    deletion = collection.changes(everything, 2)[0]
    assert deletion.new is None and deletion.old is not None and deletion.old.revision == 2


def test_after_a_restart_a_filtered_watch_is_not_served_what_cannot_be_known() -> None:
    cache = WatchCache()
    cache.load(snapshot([put(1, pod("a", "p1", {}, "n1")), put(2, pod("a", "p1", {}, "n2"))], 1))
    collection = cache.collection(PODS)
    assert [change.revision for change in collection.changes(select(PODS, "", "", ""), 1)] == [2]
    with pytest.raises(ApiError) as refused:
        collection.changes(select(PODS, "", "", "spec.nodeName=n1"), 1)
    assert (refused.value.code, refused.value.message) == (410, "too old resource version: 1 (2)")


def test_a_deletion_of_something_unknown_is_not_resumed_over() -> None:
    cache = WatchCache()
    cache.load(snapshot([put(1, pod("a", "p1", {}, "")), Event(2, "pods/a/p1", None)], 1))
    with pytest.raises(ApiError, match="too old resource version: 1"):
        cache.collection(PODS).changes(select(PODS, "", "", ""), 1)


async def watching_all(cache: WatchCache, resource: Resource = PODS) -> tuple[Watcher, Sink]:
    sink = Sink()
    watcher = Watcher(select(resource, "", "", ""), Plain(resource), sink, bookmarks=True)
    cache.collection(resource).watch(watcher)
    watcher.go_live()
    return watcher, sink


async def test_events_of_one_commit_leave_as_one_write() -> None:
    cache = WatchCache()
    _, sink = await watching_all(cache)
    written: list[bytes] = []
    sink.write = written.append  # type: ignore[method-assign]
    cache.apply([put(1, pod("a", "p1", {}, "")), put(2, pod("a", "p2", {}, ""))])
    assert not written
    await asyncio.sleep(0)
    assert len(written) == 1


async def test_a_slow_watcher_is_dropped_with_410_and_the_others_are_not() -> None:
    cache = WatchCache()
    slow, slow_sink = await watching_all(cache)
    fast, fast_sink = await watching_all(cache)
    slow_sink.backlog = BACKLOG_MAX_BYTES
    cache.apply([put(1, pod("a", "p1", {}, ""))])
    await asyncio.sleep(0)
    assert slow.dropped and slow.ended.done()
    assert slow_sink.events()[-1]["object"]["code"] == 410
    assert not fast.dropped
    assert [event["type"] for event in fast_sink.events()] == ["ADDED"]


async def test_bookmarks_follow_the_events_they_cover() -> None:
    cache = WatchCache()
    _, sink = await watching_all(cache)
    cache.apply([put(7, pod("a", "p1", {}, ""))])
    cache.send_bookmarks()
    first, second = sink.events()
    assert first["type"] == "ADDED"
    assert second == {
        "type": "BOOKMARK",
        "object": {"metadata": {"resourceVersion": "7"}, "kind": "Pod", "apiVersion": "v1"},
    }


def test_the_bookmark_at_the_end_of_the_initial_events_says_so() -> None:
    body = WatchCache().bookmark(PODS, Plain(PODS), initial_end=True)
    event = orjson.loads(body.partition(b"\r\n")[2].removesuffix(b"\r\n"))
    assert event["object"]["metadata"]["annotations"] == {INITIAL_EVENTS_END: "true"}


async def test_waiting_for_a_revision_ends_when_it_is_applied_or_when_time_is_up() -> None:
    cache = WatchCache()
    waiting = asyncio.ensure_future(cache.wait_for(2, 5.0))
    await asyncio.sleep(0)
    cache.apply([put(1, pod("a", "p1", {}, ""))])
    assert not waiting.done()
    cache.apply([put(2, pod("a", "p1", {"x": "y"}, ""))])
    assert await waiting
    assert not await cache.wait_for(3, 0.01)


def test_history_is_bounded_by_count_and_by_bytes() -> None:
    collection = Collection(PODS)
    collection.history = History(count_max=3)
    cache = WatchCache()
    cache.collections[PODS.id] = collection
    cache.apply([put(revision, pod("a", "p1", {"n": str(revision)}, "")) for revision in range(1, 6)])
    assert (len(collection.history), collection.history.floor) == (3, 2)
    collection.history = small = History(bytes_max=300)
    cache.apply([put(revision, pod("a", "p1", {"n": str(revision)}, "")) for revision in range(6, 12)])
    assert 0 < len(small) < 6
    assert small.floor == 11 - len(small)


@pytest.mark.parametrize(
    ("resource", "obj", "expected"),
    [
        (NODES, {}, {"spec.unschedulable": "false"}),
        (NODES, {"spec": {"unschedulable": True}}, {"spec.unschedulable": "true"}),
        (
            PODS,
            {"spec": {"nodeName": "n", "hostNetwork": True}, "status": {"phase": "Running"}},
            {"spec.nodeName": "n", "spec.hostNetwork": "true", "status.phase": "Running", "status.podIP": ""},
        ),
        (CORE_EVENTS, {"source": {"component": "kubelet"}, "involvedObject": {"name": "p"}}, {"source": "kubelet"}),
        (CORE_EVENTS, {"reportingComponent": "x"}, {"source": "x", "reportingComponent": "x"}),
    ],
)
def test_the_index_reads_the_fields_that_selectors_may_name(
    resource: Resource, obj: Object, expected: dict[str, str]
) -> None:
    indexer = indexer_of(resource)
    wire = serialize.splice(serialize.encode({"metadata": {"name": "x", "labels": {"a": "b"}}, **obj}), 1)
    view = indexer.view(wire)
    assert view.labels == {"a": "b"}
    assert {path: view.fields[indexer.position(path)] for path in expected} == expected


def test_an_event_is_found_by_the_names_of_both_its_versions() -> None:
    core, new = indexer_of(CORE_EVENTS), indexer_of(CORE_EVENTS).position("regarding.name")
    assert core.paths[new] == "involvedObject.name"
    assert select(EVENTS, "", "", "regarding.name=p1").match is not None


def test_a_frame_is_one_chunk() -> None:
    assert frame("ADDED", b"{}") == b'1d\r\n{"type":"ADDED","object":{}}\n\r\n'


def test_a_restart_finds_what_was_written() -> None:
    pods = [
        pod(namespace, f"p-{number}", {"app": "web"}, f"pi-{number % 3}") for namespace in "ba" for number in range(5)
    ]
    events = [put(revision, obj) for revision, obj in enumerate(pods, 1)]
    records = [Record(event.key, event.value or b"", event.revision) for event in events]
    written, restarted = WatchCache(), WatchCache()
    written.apply(events)
    restarted.load(Snapshot(len(events), 0, records, []))
    for selection in (select(PODS, "", "", ""), select(PODS, "a", "", ""), select(PODS, "", "", "spec.nodeName=pi-1")):
        found = [[(entry.key, entry.wire, entry.fields) for entry in cache.collection(PODS).select(selection)]
                 for cache in (written, restarted)]  # fmt: skip
        assert found[0] == found[1] and found[0]


def test_what_objects_say_alike_is_kept_once() -> None:
    cache = WatchCache()
    cache.apply([put(number, pod("a", f"p-{number}", {"app": "web"}, "pi-1")) for number in range(1, 3)])
    one, other = cache.collection(PODS).entries.values()
    assert one.labels is other.labels == {"app": "web"}
    assert all(ours is theirs for ours, theirs in zip(one.fields, other.fields, strict=True))


def test_what_is_kept_of_labels_is_bounded() -> None:
    alike = Alike()
    for number in range(3 * LABELS_MAX):
        view = alike.view(View({"number": str(number)}, ("",)))
        assert view.labels == {"number": str(number)}
    assert len(alike._labels) <= LABELS_MAX
