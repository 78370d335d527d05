"""What only a store on a disk can get wrong: modes, locks, damage, a full disk, a torn log."""

from __future__ import annotations

import asyncio
import gc
import resource
import shutil
import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from picluster.storage.backend import Event, Snapshot, StorageError
from picluster.storage.sqlite import CEILING_STEP, SqliteBackend


class Store:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.backend = SqliteBackend(path)
        self.events: list[Event] = []

    async def start(self) -> Snapshot:
        return await self.backend.start(self.apply)

    def apply(self, events: Sequence[Event]) -> None:
        self.events.extend(events)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = Store(tmp_path / "store" / "picluster.db")
    await store.start()
    yield store
    await store.backend.close()


async def started(path: Path) -> Snapshot:
    """What a store at ``path`` holds."""
    backend = SqliteBackend(path)
    snapshot = await backend.start(lambda events: None)
    await backend.close()
    return snapshot


async def fill(store: Store, writes: int, value: bytes = b"x" * 500) -> int:
    return max(await asyncio.gather(*(store.backend.put(f"pods/default/{n}", value, 0) for n in range(writes))))


def crash_copy(store: Store, into: Path) -> Path:
    """The files as a crash at this moment would leave them."""
    shutil.copytree(store.path.parent, into)
    return into / store.path.name


async def test_a_running_store_keeps_nothing_of_what_it_has_read(store: Store) -> None:
    await fill(store, 3)
    await store.backend.close()
    backend = SqliteBackend(store.path)
    assert (await backend.start(lambda events: None)).revision == 3
    gc.collect()
    assert not [each for each in gc.get_objects() if isinstance(each, Snapshot)]
    await backend.close()


async def test_nobody_else_may_look(store: Store) -> None:
    await fill(store, 1)
    assert store.path.parent.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in store.path.parent.iterdir()} == {0o600}


async def test_a_second_server_is_refused(store: Store) -> None:
    second = SqliteBackend(store.path)
    with pytest.raises(StorageError, match=r"in use by another server \(process \d+\): stop it"):
        await second.start(lambda events: None)
    await fill(store, 1)
    await store.backend.close()
    await second.start(lambda events: None)
    await second.close()


async def test_a_directory_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="correct the owner"):
        await started(tmp_path / "file" / "store.db")


def garbage(path: Path) -> None:
    path.write_bytes(b"no database at all, " * 500)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def hole_in_a_page(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096 * 3 : 4096 * 3 + 512] = b"\xa5" * 512
    path.write_bytes(data)


def flipped_bit(path: Path) -> None:
    """Inside of a value, where SQLite's own check does not look."""
    data = bytearray(path.read_bytes())
    data[data.index(b"x" * 400) + 200] ^= 0x01
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [garbage, cut_short, hole_in_a_page, flipped_bit])
async def test_damage_is_found_at_start_and_says_what_to_do(store: Store, damage: object) -> None:
    await fill(store, 200)
    await store.backend.close()
    assert callable(damage)
    damage(store.path)
    with pytest.raises(StorageError, match="restore a backup, or start empty"):
        await store.start()


async def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE theirs (x)")
    other.close()
    with pytest.raises(StorageError, match="some other program's"):
        await started(path)


async def test_a_store_of_a_newer_version_is_left_alone(store: Store) -> None:
    await store.backend.close()
    with sqlite3.connect(store.path) as newer:
        newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(StorageError, match="newer picluster"):
        await started(store.path)


@contextmanager
def full_disk(limit_bytes: int) -> Iterator[None]:
    """No file of this process may grow beyond the limit: what SQLite sees is a failing write."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)


async def test_a_full_disk_fails_the_write_and_only_it(store: Store) -> None:
    seen = await store.backend.put("pods/default/a", b"before", 0)
    beat = await store.backend.put("leases/n/a", b"1", 0, durable=False)
    before = list(store.events)
    size = store.path.with_name("picluster.db-wal").stat().st_size
    with full_disk(size):
        writes = [
            store.backend.put("pods/default/a", b"x" * 20_000, seen),
            store.backend.put("pods/default/new", b"x" * 20_000, 0),
            store.backend.delete("pods/default/a", seen),
        ]
        for failure in await asyncio.gather(*writes, return_exceptions=True):
            assert isinstance(failure, StorageError)
            assert "disk" in str(failure)
            assert "writes work again" in str(failure)
        assert store.events == before
        beat = await store.backend.put("leases/n/a", b"2", beat, durable=False)
    after = await store.backend.put("pods/default/a", b"after", seen)
    assert after > beat > seen
    assert await store.backend.put("pods/default/new", b"y", 0) > after
    revisions = [event.revision for event in store.events]
    assert revisions == sorted(set(revisions))


async def test_heartbeats_do_not_touch_the_disk(store: Store) -> None:
    revision = await store.backend.put("leases/n/a", b"0", 0)
    revision = await store.backend.put("leases/n/a", b"first, which stores the ceiling", revision, durable=False)
    wal = store.path.with_name("picluster.db-wal")
    before = wal.read_bytes()
    for n in range(100):
        revision = await store.backend.put("leases/n/a", str(n).encode(), revision, durable=False)
    assert wal.read_bytes() == before


async def test_after_a_crash_heartbeats_are_gone_and_their_numbers_are_not_given_again(
    store: Store, tmp_path: Path
) -> None:
    durable = await store.backend.put("leases/n/a", b"durable", 0)
    beat = durable
    for n in range(10):
        beat = await store.backend.put("leases/n/a", str(n).encode(), beat, durable=False)
    snapshot = await started(crash_copy(store, tmp_path / "crashed"))
    assert snapshot.revision >= beat
    assert snapshot.revision <= beat + CEILING_STEP
    assert [tuple(record) for record in snapshot.records] == [("leases/n/a", b"durable", durable)]


async def test_a_durable_write_makes_the_heartbeats_before_it_superfluous(store: Store, tmp_path: Path) -> None:
    first = await store.backend.put("leases/n/a", b"1", 0)
    beat = await store.backend.put("leases/n/a", b"2", first, durable=False)
    last = await store.backend.put("leases/n/a", b"3", beat)
    await store.backend.compact(last)
    snapshot = await started(crash_copy(store, tmp_path / "crashed"))
    assert [tuple(record) for record in snapshot.records] == [("leases/n/a", b"3", last)]


async def test_a_deleted_heartbeat_stays_deleted(store: Store, tmp_path: Path) -> None:
    first = await store.backend.put("leases/n/a", b"1", 0)
    beat = await store.backend.put("leases/n/a", b"2", first, durable=False)
    last = await store.backend.delete("leases/n/a", beat)
    assert (await started(crash_copy(store, tmp_path / "crashed"))).records == []
    await store.backend.compact(last)
    assert (await started(crash_copy(store, tmp_path / "compacted"))).records == []


async def test_revisions_go_on_without_a_gap_after_a_clean_stop(store: Store) -> None:
    revision = await store.backend.put("leases/n/a", b"1", 0, durable=False)
    await store.backend.close()
    assert (await store.start()).revision == revision


async def test_a_torn_log_gives_the_store_of_an_earlier_moment(store: Store, tmp_path: Path) -> None:
    """Whatever part of the log reached the disk: what is found is what was there after some write."""
    moments: list[dict[str, int]] = [{}]
    for n in range(30):
        key = f"pods/default/{n % 7}"
        seen = moments[-1].get(key, 0)
        if n % 5 == 4:
            await store.backend.delete(key, seen) if seen else None
            moments.append({k: r for k, r in moments[-1].items() if k != key})
        else:
            revision = await store.backend.put(key, b"x" * (n * 97), seen)
            moments.append({**moments[-1], key: revision})
    wal_size = store.path.with_name("picluster.db-wal").stat().st_size
    found = []
    for cut in range(12):
        copy = crash_copy(store, tmp_path / f"torn{cut}")
        log = copy.with_name("picluster.db-wal")
        log.write_bytes(log.read_bytes()[: wal_size * (cut + 12) // 23])
        copy.with_name("picluster.db-shm").unlink(missing_ok=True)
        found.append({record.key: record.revision for record in (await started(copy)).records})
    assert all(state in moments for state in found)
    assert found[-1] == moments[-1]
    order = [len(moments) - moments[::-1].index(state) for state in found]
    assert order == sorted(order)


async def test_compaction_frees_rows_and_later_writes_reuse_their_room(store: Store) -> None:
    async def churn(revision: int) -> int:
        for _ in range(600):
            revision = await store.backend.put("pods/default/a", b"x" * 2000, revision)
        await store.backend.compact(revision)
        return revision

    revision = await churn(0)
    await store.backend.close()
    size = store.path.stat().st_size
    with sqlite3.connect(store.path) as database:
        assert database.execute("SELECT count(*) FROM revisions").fetchone() == (1,)
    database.close()
    await store.start()
    await churn(revision)
    await store.backend.close()
    assert store.path.stat().st_size <= size * 1.2


async def test_a_write_that_cannot_be_stored_does_not_stop_the_writer(store: Store) -> None:
    with pytest.raises(StorageError):
        await store.backend.put("pods/default/\ud800", b"x", 0)
    await store.backend.put("pods/default/good", b"x", 0)
    assert [event.key for event in store.events] == ["pods/default/good"]


async def test_the_queue_is_bounded_and_all_get_through(store: Store) -> None:
    writes = [store.backend.put(f"pods/default/{n}", b"x", 0) for n in range(20_000)]
    revisions = await asyncio.gather(*writes)
    assert sorted(revisions) == list(range(1, 20_001))


async def test_a_full_quota_refuses_writes_until_room_is_made(tmp_path: Path) -> None:
    backend = SqliteBackend(tmp_path / "store" / "picluster.db", size_max_bytes=1024**2)
    await backend.start(lambda events: None)
    try:
        revisions: dict[str, int] = {}
        with pytest.raises(
            StorageError, match=r"quota of 1 MiB: delete what is not needed .* raise store.size_max_mib"
        ):
            for n in range(2000):
                revisions[f"pods/default/{n}"] = await backend.put(f"pods/default/{n}", b"x" * 4000, 0)
        beat = await backend.put("leases/n/a", b"1", 0, durable=False)
        await backend.put("leases/n/a", b"2", beat, durable=False)
        last = 0
        for key, revision in revisions.items():
            last = await backend.delete(key, revision)
        await backend.compact(last)
        await backend.put("pods/default/again", b"x", 0)
    finally:
        await backend.close()
