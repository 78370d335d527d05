"""Saving a control plane into one file, and making one from it again.

The file is a gzipped tar, 0600: ``manifest.json``, the store as a SQLite file (``storage.contents``), and the directory
with certificates and keys, without which no node knows the restored API server and no encrypted Secret can be read.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tarfile
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from picluster import VERSION
from picluster.api.meta import now_rfc3339
from picluster.server import store
from picluster.server.config import ServerConfig, ServerError
from picluster.storage import sqlitecontents
from picluster.storage.contents import BUMP
from picluster.util.clock import Clock

FORMAT = 1
STORE, MANIFEST, PKI = "store.db", "manifest.json", "pki"
PKI_FILE_MAX_BYTES = 1024 * 1024


class Saved(NamedTuple):
    """What a backup says of itself."""

    created: str
    version: str
    revision: int
    objects: int


async def save(config: ServerConfig, path: Path, clock: Clock) -> Saved:
    """Write a backup to ``path``, whole or not at all; the server may run. Raises ``ServerError``."""
    contents = await store.read(config)
    saved = Saved(now_rfc3339(clock.now()), VERSION, contents.revision, len(contents.records))
    try:
        with tempfile.TemporaryDirectory(prefix=".picluster-backup-", dir=path.parent) as scratch:
            database, fresh = Path(scratch) / STORE, Path(scratch) / "backup"
            with store.explained():
                sqlitecontents.write(contents, database, bump=0)
            _pack(fresh, _manifest(saved, database), database, config.pki_dir)
            fresh.rename(path)
    except OSError as error:
        raise ServerError(f"{path} cannot be written: {error.strerror}: name a place with room for it") from error
    return saved


async def restore(config: ServerConfig, path: Path, *, force: bool, pki: bool) -> Saved:
    """Make the store, and with ``pki`` the certificates and keys, what they were. No server may run.

    Files that are there are moved aside only under ``force``. Raises ``ServerError``.
    """
    with tempfile.TemporaryDirectory(prefix="picluster-restore-") as scratch:
        saved = unpack(path, Path(scratch))
        with store.explained():
            contents = sqlitecontents.read(Path(scratch) / STORE)
        if pki:
            _put_pki(Path(scratch) / PKI, config.pki_dir, force=force)
        await store.write(config, contents, bump=BUMP, force=force)
    return saved


def unpack(path: Path, directory: Path) -> Saved:
    """Unpack a backup and check that it is whole; raises ``ServerError``."""
    try:
        with tarfile.open(path, "r:gz") as archive:
            for entry in archive:
                _extract(archive, entry, directory)
        manifest = json.loads((directory / MANIFEST).read_text())
        if manifest["format"] != FORMAT:
            raise ServerError(f"{path} was written by a newer picluster: upgrade this one")
        whole = manifest["sha256"] == _digest(directory / STORE)
    except (OSError, tarfile.TarError, EOFError, ValueError, KeyError, TypeError) as error:
        raise ServerError(f"{path} is no whole backup ({error}): name one that picluster backup wrote") from error
    if not whole:
        raise ServerError(f"{path} is damaged: its store is not what was saved; take another backup")
    return Saved(*(manifest[field] for field in Saved._fields))


def _pack(path: Path, manifest: bytes, database: Path, pki: Path) -> None:
    fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as raw:
        with tarfile.open(fileobj=raw, mode="w:gz") as archive:
            _add_bytes(archive, MANIFEST, manifest)
            archive.add(database, STORE)
            _add_pki(archive, pki)
        raw.flush()
        os.fsync(raw.fileno())


def _extract(archive: tarfile.TarFile, entry: tarfile.TarInfo, directory: Path) -> None:
    """Plain files below ``directory`` only, whatever the archive says."""
    parts = Path(entry.name).parts
    if not entry.isfile() or ".." in parts or entry.name.startswith("/"):
        raise ValueError(f"{entry.name} has no place in a backup")
    content = archive.extractfile(entry)
    assert content is not None
    target = directory.joinpath(*parts)
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with target.open("wb") as out:
        shutil.copyfileobj(content, out)
    target.chmod(entry.mode & 0o777)


def _manifest(saved: Saved, database: Path) -> bytes:
    said: dict[str, Any] = {"format": FORMAT, **saved._asdict(), "sha256": _digest(database)}
    return json.dumps(said, indent=2).encode()


def _digest(path: Path) -> str:
    with path.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()


def _add_bytes(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), 0o600
    archive.addfile(entry, io.BytesIO(content))


def _add_pki(archive: tarfile.TarFile, directory: Path) -> None:
    for path in sorted(directory.rglob("*")):
        if path.is_file() and path.stat().st_size <= PKI_FILE_MAX_BYTES:
            archive.add(path, f"{PKI}/{path.relative_to(directory)}")


def _put_pki(source: Path, directory: Path, *, force: bool) -> None:
    if directory.exists() and any(directory.iterdir()):
        if not force:
            raise ServerError(f"{directory} has certificates already: restore with --force, or without --pki")
        number = next(n for n in range(1, 1000) if not directory.with_name(f"{directory.name}.{n}").exists())
        directory.rename(directory.with_name(f"{directory.name}.{number}"))
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in sorted(source.rglob("*")):
        target = directory / path.relative_to(source)
        if path.is_dir():
            target.mkdir(mode=0o700, exist_ok=True)
        else:
            target.write_bytes(path.read_bytes())
            target.chmod(path.stat().st_mode & 0o777)
