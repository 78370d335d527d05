"""A control plane into one file and out of it again."""

from __future__ import annotations

import asyncio
import json
import tarfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from picluster.cli.backup import backup as backup_command
from picluster.cli.backup import restore as restore_command
from picluster.cli.store import store as store_command
from picluster.server import backup, standalone
from picluster.server.config import ServerConfig, ServerError
from picluster.storage.sqlite import SqliteBackend
from picluster.util.clock import SYSTEM_CLOCK


def config_of(directory: Path) -> ServerConfig:
    return standalone.configure(directory, {})


async def fill(config: ServerConfig) -> int:
    backend = SqliteBackend(config.data_dir / "store" / "picluster.db")
    await backend.start(lambda events: None)
    revision = max([await backend.put(f"configmaps/default/{n}", b'{"kind":"ConfigMap"}', 0) for n in range(5)])
    await backend.close()
    config.pki_dir.mkdir(exist_ok=True)
    (config.pki_dir / "ca.key").write_text("secret")
    (config.pki_dir / "ca.key").chmod(0o600)
    return revision


async def keys_of(config: ServerConfig) -> list[str]:
    backend = SqliteBackend(config.data_dir / "store" / "picluster.db")
    snapshot = await backend.start(lambda events: None)
    await backend.close()
    return sorted(record.key for record in snapshot.records)


async def test_there_and_back(tmp_path: Path) -> None:
    config = config_of(tmp_path / "a")
    revision = await fill(config)
    saved = await backup.save(config, tmp_path / "a.backup", SYSTEM_CLOCK)
    assert (saved.objects, saved.revision) == (5, revision)
    assert (tmp_path / "a.backup").stat().st_mode & 0o777 == 0o600
    other = config_of(tmp_path / "b")
    assert await backup.restore(other, tmp_path / "a.backup", force=False, pki=True) == saved
    assert await keys_of(other) == [f"configmaps/default/{n}" for n in range(5)]
    assert (other.pki_dir / "ca.key").read_text() == "secret"
    assert (other.pki_dir / "ca.key").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "a.backup", "b"]


async def test_what_is_there_stays_there(tmp_path: Path) -> None:
    config = config_of(tmp_path / "a")
    await fill(config)
    await backup.save(config, tmp_path / "a.backup", SYSTEM_CLOCK)
    with pytest.raises(ServerError, match="is there already: move it away, or restore with --force"):
        await backup.restore(config, tmp_path / "a.backup", force=False, pki=False)
    with pytest.raises(ServerError, match="has certificates already"):
        await backup.restore(config, tmp_path / "a.backup", force=False, pki=True)
    await backup.restore(config, tmp_path / "a.backup", force=True, pki=True)
    assert (tmp_path / "a" / "store" / "picluster.db.1").exists()
    assert (tmp_path / "a" / "pki.1" / "ca.key").exists()


async def test_a_damaged_backup_is_refused(tmp_path: Path) -> None:
    config = config_of(tmp_path / "a")
    await fill(config)
    path = tmp_path / "a.backup"
    await backup.save(config, path, SYSTEM_CLOCK)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ServerError, match=r"is no whole backup .* name one that picluster backup wrote"):
        await backup.restore(config_of(tmp_path / "b"), path, force=False, pki=False)
    path.write_bytes(b"something else")
    with pytest.raises(ServerError, match="is no whole backup"):
        backup.unpack(path, tmp_path / "scratch")


def test_an_archive_cannot_write_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "evil").write_text("x")
    with tarfile.open(tmp_path / "evil.backup", "w:gz") as archive:
        archive.add(tmp_path / "evil", "../outside")
    (tmp_path / "in").mkdir()
    with pytest.raises(ServerError, match="has no place in a backup"):
        backup.unpack(tmp_path / "evil.backup", tmp_path / "in")
    assert not (tmp_path / "outside").exists()


def test_the_commands(tmp_path: Path) -> None:
    config = config_of(tmp_path / "a")
    asyncio.run(fill(config))
    run = CliRunner()
    file = str(tmp_path / "a.backup")
    said = run.invoke(backup_command, ["--data-dir", str(tmp_path / "a"), file, "-o", "json"])
    assert json.loads(said.stdout)["objects"] == 5
    said = run.invoke(restore_command, ["--data-dir", str(tmp_path / "b"), file])
    assert said.stdout.startswith("restored 5 objects, saved at ")
    said = run.invoke(store_command, ["check", "--data-dir", str(tmp_path / "b"), "-o", "json"])
    assert json.loads(said.stdout)["objects"] == {"configmaps": 5}
    assert run.invoke(store_command, ["defragment", "--data-dir", str(tmp_path / "b")]).exit_code == 0
    said = run.invoke(store_command, ["check"])
    assert (said.exit_code, said.stderr) == (2, "Error: which store? name one with --config or --data-dir\n")
