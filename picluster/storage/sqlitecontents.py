"""``Contents`` in and out of a SQLite store, and such a store made small again."""

from __future__ import annotations

import contextlib
import itertools
import os
from pathlib import Path

from picluster.storage.backend import StorageError
from picluster.storage.contents import Contents
from picluster.storage.revisionfile import RevisionFile, row

ROWS_AT_ONCE = 256


def read(path: Path) -> Contents:
    """What a SQLite store holds, also while a server uses it; raises ``StorageError``."""
    snapshot = RevisionFile(path).peek()
    return Contents(snapshot.revision, snapshot.records)


def write(contents: Contents, path: Path, *, bump: int) -> None:
    """Make a store at ``path``, where there must be none, whole or not at all; raises ``StorageError``."""
    if path.exists():
        raise StorageError(f"store {path} is there already: move it away, or restore with --force")
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    file = RevisionFile(fresh)
    try:
        file.open()
        _fill(file, contents, contents.revision + bump)
    finally:
        file.close()
    for part in ("-wal", "-shm", ".lock"):
        fresh.with_name(fresh.name + part).unlink(missing_ok=True)
    fresh.rename(path)
    _sync(path.parent)


def set_aside(path: Path) -> Path | None:
    """Move a store that is there to a free name beside it, and return that; raises ``StorageError`` if it is in use."""
    if not path.exists():
        return None
    file = RevisionFile(path)
    try:
        file.hold()
        number = next(n for n in itertools.count(1) if not path.with_name(f"{path.name}.{n}").exists())
        for part in ("-wal", "-shm", ""):
            with contextlib.suppress(FileNotFoundError):
                path.with_name(path.name + part).rename(path.with_name(f"{path.name}.{number}{part}"))
    finally:
        file.close()
    return path.with_name(f"{path.name}.{number}")


def _fill(file: RevisionFile, contents: Contents, revision: int) -> None:
    file.mark_compacted(revision)
    for start in range(0, len(contents.records), ROWS_AT_ONCE):
        rows: list[object] = []
        for record in contents.records[start : start + ROWS_AT_ONCE]:
            rows += row(record.revision, record.key, record.value)
        file.append(rows, None)
    file.append([], revision)
    file.vacuum()


def _sync(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def defragment(path: Path) -> tuple[int, int]:
    """Write a stopped server's file anew; its size before and after, in bytes. Raises ``StorageError``."""
    if not path.is_file():
        raise StorageError(f"store {path} is not there: name the directory of a server that has run")
    before = path.stat().st_size
    file = RevisionFile(path)
    try:
        file.open()
        file.vacuum()
    finally:
        file.close()
    return before, path.stat().st_size
