"""What every store keeps, whatever it stands on. A new backend joins by one line in ``BACKENDS``."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import etcd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from picluster.apiserver.encryption.backend import EncryptedBackend
from picluster.apiserver.encryption.config import parse
from picluster.storage.backend import Backend, Event, RevisionMismatch, Snapshot, StorageError, Timed
from picluster.storage.etcd import EtcdBackend
from picluster.storage.memory import MemoryBackend
from picluster.storage.sqlite import SqliteBackend

KEY = {"name": "key1", "secret": base64.b64encode(bytes(32)).decode()}
RULE = {"resources": ["*.*"], "providers": [{"aesgcm": {"keys": [KEY]}}]}
ENCRYPTION = parse(
    {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "EncryptionConfiguration", "resources": [RULE]}, "the test"
)
BACKENDS: dict[str, Callable[[Path], Backend]] = {
    "memory": lambda _: MemoryBackend(),
    "sqlite": lambda directory: SqliteBackend(directory / "store" / "picluster.db"),
    "etcd": lambda directory: EtcdBackend(etcd.shared().config(f"{directory}/")),
    "encrypted": lambda _: EncryptedBackend(MemoryBackend(), ENCRYPTION),
}


class Store:
    """A started backend, and what it told its watcher."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.events: list[Event] = []
        self.snapshot: Snapshot

    def apply(self, events: Sequence[Event]) -> None:
        self.events.extend(events)

    async def start(self) -> Snapshot:
        self.snapshot = await self.backend.start(self.apply)
        return self.snapshot

    async def restart(self) -> Snapshot:
        await self.backend.close()
        return await self.start()


@pytest.fixture(params=BACKENDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    store = Store(BACKENDS[request.param](tmp_path))
    await store.start()
    yield store
    await store.backend.close()


def live(snapshot: Snapshot) -> dict[str, tuple[bytes, int]]:
    return {record.key: (record.value, record.revision) for record in snapshot.records}


async def test_a_new_store_is_empty(store: Store) -> None:
    assert (store.snapshot.records, store.snapshot.history) == ([], [])


async def test_a_store_knows_its_size(store: Store) -> None:
    """Some know it only from the last compaction."""
    assert store.backend.size_bytes >= 0
    revision = await store.backend.put("pods/default/a", b"x" * 5000, 0)
    revision = await store.backend.put("pods/default/a", b"x" * 5000, revision)
    await store.backend.compact(revision)
    assert store.backend.size_bytes >= 5000


@pytest.mark.parametrize("store", ["etcd"], indirect=True)
async def test_a_store_that_asks_others_knows_how_long_they_take(store: Store) -> None:
    assert isinstance(store.backend, Timed)
    revision = await store.backend.put("deployments.apps/default/a", b"1", 0)
    await store.backend.delete("deployments.apps/default/a", revision)
    for operation in ("create", "delete"):
        labels = f'group="apps",operation="{operation}",resource="deployments"'
        assert f"etcd_request_duration_seconds_count{{{labels}}} 1.0\n" in store.backend.timings.text()


async def test_writes_are_numbered_in_order(store: Store) -> None:
    first = await store.backend.put("pods/default/a", b"1", 0)
    second = await store.backend.put("pods/default/b", b"2", 0)
    third = await store.backend.put("pods/default/a", b"3", first)
    fourth = await store.backend.delete("pods/default/b", second)
    assert 0 < first < second < third < fourth
    assert store.events == [
        (first, "pods/default/a", b"1"),
        (second, "pods/default/b", b"2"),
        (third, "pods/default/a", b"3"),
        (fourth, "pods/default/b", None),
    ]


async def test_the_event_is_applied_before_the_writer_hears(store: Store) -> None:
    async def write(key: str) -> None:
        revision = await store.backend.put(key, b"x", 0)
        assert Event(revision, key, b"x") in store.events

    await asyncio.gather(*(write(f"pods/default/{n}") for n in range(50)))


@pytest.mark.parametrize("durable", [True, False])
async def test_a_write_is_guarded_by_the_revision_seen(store: Store, durable: bool) -> None:
    revision = await store.backend.put("leases/x/y", b"1", 0, durable=durable)
    for expected in (0, revision + 1, revision - 1):
        with pytest.raises(RevisionMismatch) as mismatch:
            await store.backend.put("leases/x/y", b"2", expected, durable=durable)
        assert (mismatch.value.key, mismatch.value.expected, mismatch.value.actual) == (
            "leases/x/y",
            expected,
            revision,
        )
    with pytest.raises(RevisionMismatch):
        await store.backend.put("leases/x/new", b"2", revision, durable=durable)
    assert [event.revision for event in store.events] == [revision]


@pytest.mark.parametrize("expected", [0, 7])
async def test_what_is_not_there_cannot_be_deleted(store: Store, expected: int) -> None:
    with pytest.raises(RevisionMismatch) as mismatch:
        await store.backend.delete("pods/default/none", expected)
    assert mismatch.value.actual == 0
    assert store.events == []


async def test_a_deleted_key_can_be_made_again(store: Store) -> None:
    made = await store.backend.put("pods/default/a", b"1", 0)
    deleted = await store.backend.delete("pods/default/a", made)
    with pytest.raises(RevisionMismatch):
        await store.backend.put("pods/default/a", b"2", deleted)
    assert await store.backend.put("pods/default/a", b"2", 0) > deleted


async def test_of_writers_that_saw_the_same_one_wins(store: Store) -> None:
    seen = await store.backend.put("pods/default/a", b"0", 0)
    writes = [store.backend.put("pods/default/a", str(n).encode(), seen) for n in range(20)]
    results = await asyncio.gather(*writes, return_exceptions=True)
    won = [result for result in results if isinstance(result, int)]
    lost = [result for result in results if isinstance(result, RevisionMismatch)]
    assert (len(won), len(lost)) == (1, 19)
    assert {mismatch.actual for mismatch in lost} == set(won)


async def test_a_restart_finds_everything(store: Store) -> None:
    kept = await store.backend.put("pods/default/kept", b"\x00\xff", 0)
    gone = await store.backend.put("pods/default/gone", b"1", 0)
    gone = await store.backend.delete("pods/default/gone", gone)
    beat = await store.backend.put("leases/n/a", b"1", 0)
    beat = await store.backend.put("leases/n/a", b"2", beat, durable=False)
    snapshot = await store.restart()
    assert live(snapshot) == {"pods/default/kept": (b"\x00\xff", kept), "leases/n/a": (b"2", beat)}
    assert snapshot.revision >= beat
    assert [event.revision for event in snapshot.history] == sorted(event.revision for event in snapshot.history)
    assert Event(gone, "pods/default/gone", None) in snapshot.history
    assert await store.backend.put("pods/default/kept", b"2", kept) > snapshot.revision


async def test_a_cancelled_writer_leaves_the_others_alone(store: Store) -> None:
    cancelled = asyncio.ensure_future(store.backend.put("pods/default/a", b"1", 0))
    other = asyncio.ensure_future(store.backend.put("pods/default/b", b"1", 0))
    await asyncio.sleep(0)
    cancelled.cancel()
    assert await other in [event.revision for event in store.events]
    await asyncio.gather(cancelled, return_exceptions=True)


async def test_compaction_keeps_what_is_live_and_what_is_newer(store: Store) -> None:
    stays = await store.backend.put("pods/default/stays", b"1", 0)
    changing = await store.backend.put("pods/default/changing", b"1", 0)
    gone = await store.backend.put("pods/default/gone", b"1", 0)
    for n in range(300):
        changing = await store.backend.put("pods/default/changing", str(n).encode(), changing)
    border = await store.backend.delete("pods/default/gone", gone)
    after = await store.backend.put("pods/default/changing", b"last", changing)
    await store.backend.compact(border)
    snapshot = await store.restart()
    assert live(snapshot) == {"pods/default/stays": (b"1", stays), "pods/default/changing": (b"last", after)}
    assert snapshot.compacted == border
    assert list(snapshot.history) == [(after, "pods/default/changing", b"last")]


async def test_compaction_goes_one_way(store: Store) -> None:
    first = await store.backend.put("pods/default/a", b"1", 0)
    second = await store.backend.put("pods/default/a", b"2", first)
    await store.backend.compact(second)
    await store.backend.compact(first)
    assert (await store.restart()).compacted == second


async def test_compaction_cannot_forget_the_future(store: Store) -> None:
    first = await store.backend.put("pods/default/a", b"1", 0)
    await store.backend.compact(first + 1000)
    assert await store.backend.put("pods/default/a", b"2", first) > first
    snapshot = await store.restart()
    assert snapshot.compacted == first
    assert live(snapshot)["pods/default/a"][0] == b"2"


async def test_writes_go_on_during_compaction(store: Store) -> None:
    revision = 0
    for n in range(2000):
        revision = await store.backend.put("pods/default/a", str(n).encode(), revision, durable=True)
    compaction = asyncio.ensure_future(store.backend.compact(revision))
    for n in range(50):
        await store.backend.put(f"pods/default/{n}", b"x", 0)
    await compaction
    assert len(live(await store.restart())) == 51


async def test_history_is_bounded_and_says_where_it_begins(store: Store) -> None:
    revision = 0
    for first in range(0, 10_500, 500):
        writes = [store.backend.put(f"pods/default/{n}", b"x", 0) for n in range(first, first + 500)]
        revision = max(await asyncio.gather(*writes))
    snapshot = await store.restart()
    assert len(snapshot.records) == 10_500
    assert len(snapshot.history) == 10_000
    assert snapshot.history[0].revision > snapshot.compacted >= 500
    assert snapshot.history[-1].revision == revision


async def test_a_closed_store_says_so(store: Store) -> None:
    await store.backend.close()
    await store.backend.close()
    for attempt in (store.backend.put("a/b/c", b"", 0), store.backend.delete("a/b/c", 1)):
        with pytest.raises(StorageError, match="closed"):
            await attempt


async def test_a_store_is_started_once(store: Store) -> None:
    with pytest.raises(StorageError, match="close it"):
        await store.backend.start(store.apply)


@pytest.mark.parametrize("name", BACKENDS)
async def test_close_is_safe_without_start(name: str, tmp_path: Path) -> None:
    await BACKENDS[name](tmp_path).close()


async def test_close_commits_what_has_queued(store: Store) -> None:
    writes = [asyncio.ensure_future(store.backend.put(f"pods/default/{n}", b"x", 0)) for n in range(100)]
    await asyncio.sleep(0)
    await store.backend.close()
    assert all(write.done() for write in writes)
    assert len((await store.start()).records) == 100


KEYS = st.sampled_from(["pods/a/a", "pods/a/b", "nodes//c", "leases/n/d"])
STEPS = st.one_of(
    st.tuples(st.sampled_from(["put", "beat"]), KEYS, st.binary(max_size=20)),
    st.tuples(st.just("delete"), KEYS, st.just(b"")),
    st.tuples(st.sampled_from(["restart", "compact"]), KEYS, st.just(b"")),
)


@pytest.mark.parametrize("name", BACKENDS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, max_size=40))
def test_a_store_behaves_like_a_dictionary(
    name: str, tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str, bytes]]
) -> None:
    asyncio.run(walk(BACKENDS[name](tmp_path_factory.mktemp("store")), steps))


async def walk(backend: Backend, steps: list[tuple[str, str, bytes]]) -> None:
    """Do the steps, and compare the store with a dictionary after every restart and at the end."""
    store = Store(backend)
    model: dict[str, tuple[bytes, int]] = {}
    revisions = [0]
    async with AsyncExitStack() as stack:
        stack.push_async_callback(backend.close)
        await store.start()
        for step, key, value in [*steps, ("restart", "", b"")]:
            actual = model.get(key, (b"", 0))[1]
            if step == "restart":
                snapshot = await store.restart()
                assert live(snapshot) == model
                assert snapshot.compacted <= snapshot.revision
            elif step == "compact":
                await backend.compact(revisions[-1])
            elif step == "delete":
                if actual:
                    revisions.append(await backend.delete(key, actual))
                    del model[key]
            else:
                revisions.append(await backend.put(key, value, actual, durable=step == "put"))
                model[key] = (value, revisions[-1])
    assert revisions == sorted(set(revisions))
    assert [event.revision for event in store.events] == revisions[1:]
