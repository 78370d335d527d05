"""A whole store out of one kind and into another, and what its clients see afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import etcd
import pytest

from picluster.storage import etcdcontents, sqlitecontents
from picluster.storage.backend import Backend, Event, RevisionMismatch, StorageError
from picluster.storage.contents import BUMP, Contents
from picluster.storage.etcd import EtcdBackend
from picluster.storage.sqlite import SqliteBackend


def ignore(events: Sequence[Event]) -> None:
    """Nobody watches."""


async def filled(backend: Backend) -> dict[str, tuple[bytes, int]]:
    """Write, change and delete; what is live in the end."""
    live = {}
    await backend.start(ignore)
    for n in range(300):
        key = f"pods/default/{n}"
        revision = await backend.put(key, b"first", 0)
        if n % 3 == 0:
            await backend.delete(key, revision)
            continue
        revision = await backend.put(key, f"second {n}".encode(), revision)
        live[key] = (f"second {n}".encode(), revision)
    await backend.close()
    return live


def shown(contents: Contents) -> dict[str, tuple[bytes, int]]:
    return {record.key: (record.value, record.revision) for record in contents.records}


async def test_sqlite_to_sqlite_goes_on_above_what_anybody_has_seen(tmp_path: Path) -> None:
    live = await filled(SqliteBackend(tmp_path / "a" / "picluster.db"))
    contents = sqlitecontents.read(tmp_path / "a" / "picluster.db")
    assert shown(contents) == live
    sqlitecontents.write(contents, tmp_path / "b" / "picluster.db", bump=BUMP)
    backend = SqliteBackend(tmp_path / "b" / "picluster.db")
    snapshot = await backend.start(ignore)
    assert {record.key: (record.value, record.revision) for record in snapshot.records} == live
    assert snapshot.revision == snapshot.compacted == contents.revision + BUMP
    assert list(snapshot.history) == []
    key, (_, revision) = next(iter(live.items()))
    assert await backend.put(key, b"third", revision) > contents.revision + BUMP
    await backend.close()


async def test_a_store_in_use_can_be_read(tmp_path: Path) -> None:
    backend = SqliteBackend(tmp_path / "picluster.db")
    await backend.start(ignore)
    revision = await backend.put("pods/default/a", b"1", 0)
    assert shown(sqlitecontents.read(tmp_path / "picluster.db")) == {"pods/default/a": (b"1", revision)}
    with pytest.raises(StorageError, match="in use by another server"):
        sqlitecontents.set_aside(tmp_path / "picluster.db")
    await backend.close()


async def test_a_store_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "picluster.db"
    await filled(SqliteBackend(path))
    contents = sqlitecontents.read(path)
    with pytest.raises(StorageError, match="is there already: move it away, or restore with --force"):
        sqlitecontents.write(contents, path, bump=0)
    aside = sqlitecontents.set_aside(path)
    assert aside is not None
    assert not path.exists()
    assert shown(sqlitecontents.read(aside)) == shown(contents)


async def test_sqlite_to_etcd_and_back(tmp_path: Path) -> None:
    config = etcd.shared().config(f"{tmp_path}/")
    live = await filled(SqliteBackend(tmp_path / "a" / "picluster.db"))
    contents = sqlitecontents.read(tmp_path / "a" / "picluster.db")
    await etcdcontents.write(contents, config, bump=BUMP)
    events: list[Event] = []
    backend = EtcdBackend(config)
    snapshot = await backend.start(events.extend)
    assert {record.key: record.value for record in snapshot.records} == {key: value for key, (value, _) in live.items()}
    assert snapshot.revision > contents.revision + BUMP
    record = snapshot.records[0]
    with pytest.raises(RevisionMismatch):
        await backend.put("pods/default/new", b"", live[record.key][1])
    changed = await backend.put(record.key, b"third", record.revision)
    assert events == [Event(changed, record.key, b"third")]
    assert changed > snapshot.revision
    await backend.compact(changed)
    await backend.close()
    back = await etcdcontents.read(config)
    assert shown(back)[record.key] == (b"third", changed)
    with pytest.raises(StorageError, match=r"holds a cluster .* already: restore with --force"):
        await etcdcontents.write(back, config, bump=0)
    await etcdcontents.write(back, config, bump=0, force=True)
    again = await etcdcontents.read(config)
    assert again.revision >= back.revision
    assert shown(again).keys() == live.keys()


async def test_an_etcd_that_is_not_there_is_said(tmp_path: Path) -> None:
    config = etcd.shared().config(f"{tmp_path}/")
    with pytest.raises(StorageError, match="start etcd, or correct the endpoints"):
        await etcdcontents.read(type(config)((f"127.0.0.1:{etcd.free_port()}",), config.ca, config.cert, config.key))
    with pytest.raises(StorageError, match=r"cannot be read: .* name etcd's CA and a client certificate"):
        await etcdcontents.read(type(config)(config.endpoints, tmp_path / "none", config.cert, config.key))


async def test_etcd_defragments(tmp_path: Path) -> None:
    await asyncio.wait_for(etcdcontents.defragment(etcd.shared().config(f"{tmp_path}/")), 30)


async def test_sqlite_defragments(tmp_path: Path) -> None:
    path = tmp_path / "store" / "picluster.db"
    backend = SqliteBackend(path)
    await backend.start(ignore)
    revisions = [await backend.put(f"pods/default/{n}", b"x" * 4000, 0) for n in range(200)]
    for n, revision in enumerate(revisions):
        last = await backend.delete(f"pods/default/{n}", revision)
    await backend.compact(last)
    await backend.close()
    before, after = sqlitecontents.defragment(path)
    assert after < before / 4
