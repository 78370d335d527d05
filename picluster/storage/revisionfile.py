"""The revision table on disk: open it, read it back, append to it, thin it out. Synchronous, for one thread.

One table, appended to in revision order, no secondary index: a write touches the last page of one tree and nothing
else. SQLite runs in WAL mode with ``synchronous=FULL``, so a commit is one sequential write and one ``fdatasync``.

Deleted rows leave their pages to later writes; the file keeps its high-water mark. A vacuum, incremental or not, would
move pages about, which costs an SD card more than it gives back.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from picluster.storage.backend import Event, Record, Snapshot, StorageError

APPLICATION_ID = 0x70696B75  # "piku": file(1) and we know our own
SCHEMA_VERSION = 1
HISTORY_MAX = 10_000
ROWS_PER_STATEMENT_MAX = 256
COLUMNS = 4
CHECKPOINT_PAGES = 1000  # the WAL is moved into the database each time it has grown by about this much
WAL_BYTES_MAX = 64 * 1024 * 1024
SIZE_MAX_BYTES = 2 * 1024**3  # etcd's default quota, too
PAGE_BYTES = 4096

SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE revisions (revision INTEGER PRIMARY KEY, key TEXT NOT NULL, value BLOB, checksum INTEGER NOT NULL);
CREATE TABLE marks (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO marks VALUES ('ceiling', 0), ('compacted', 0);
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""  # noqa: S608

DAMAGED = "the file is damaged: move its directory away, then picluster restore a backup, or start empty"
CURES = {
    "SQLITE_FULL": "the disk is full: free space on it, and writes work again",
    "SQLITE_IOERR": "the disk reports errors: look at dmesg; writes work again when the disk does",
    "SQLITE_READONLY": "the file or its disk is read-only: remount it or correct its owner",
    "SQLITE_CANTOPEN": "the file cannot be opened: correct the owner and the mode of its directory",
    "SQLITE_BUSY": "another program holds the file: end it",
    "SQLITE_CORRUPT": DAMAGED,
    "SQLITE_NOTADB": "this is no store: move the file away, then picluster restore a backup, or start empty",
}


class Loaded(NamedTuple):
    """What ``load`` read: the snapshot for the caller, and the revisions of rows that a compaction may delete."""

    snapshot: Snapshot
    superseded: list[tuple[int, int]]  # (the revision that superseded it, the row's own), in the order of the former


def row(revision: int, key: str, value: bytes | None) -> tuple[int, str, bytes | None, int]:
    """One row. Its checksum covers what SQLite's own check of the file does not look at."""
    return revision, key, value, checksum(revision, key, value)


def checksum(revision: int, key: str, value: bytes | None) -> int:
    return crc32(value or b"", crc32(key.encode(errors="surrogatepass"), revision & 0xFFFFFFFF))


def insert_statement(rows: int) -> str:
    return "INSERT INTO revisions VALUES " + ",".join(["(?,?,?,?)"] * rows)  # noqa: S608


INSERTS = {1 << power: insert_statement(1 << power) for power in range(ROWS_PER_STATEMENT_MAX.bit_length())}


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what SQLite or the system says into one sentence with the cure."""
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "") or ""
        cure = next((text for prefix, text in CURES.items() if name.startswith(prefix)), "see the message of SQLite")
        raise StorageError(f"store {path}: {error} ({name or type(error).__name__}); {cure}") from error
    except OSError as error:
        raise StorageError(
            f"store {path}: {error.strerror}: correct the owner and the mode of its directory"
        ) from error


class RevisionFile:
    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock_fd = -1
        self._db: sqlite3.Connection | None = None

    def open(self) -> None:
        """Lock and open the file, made when it is not there; raises ``StorageError``, and then nothing is held."""
        try:
            with explained(self.path):
                self._prepare_directory()
                self._lock()
                self._connect()
        except StorageError:
            self.close()
            raise

    def hold(self) -> None:
        """Lock the file without opening it; raises ``StorageError`` when a server uses it."""
        with explained(self.path):
            self._lock()

    def load(self) -> Loaded:
        """Read everything once, in revision order, and check the file's structure on the way."""
        with explained(self.path):
            problem = self._execute("PRAGMA quick_check(1)").fetchone()[0]
            if problem != "ok":
                raise StorageError(f"store {self.path}: {problem}; {CURES['SQLITE_CORRUPT']}")
            marks = dict(self._execute("SELECT name, value FROM marks"))
            return self._replay(marks["ceiling"], marks["compacted"])

    def peek(self) -> Snapshot:
        """What is committed, as of one moment, also while a server holds the file; raises ``StorageError``."""
        if not self.path.is_file():
            raise StorageError(f"store {self.path} is not there: name the directory of a server that has run")
        with explained(self.path):
            self._db = sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
            try:
                self._execute("BEGIN")
                self._check_owner()
                return self.load().snapshot
            finally:
                self.close()

    def append(self, rows: Sequence[object], ceiling: int | None) -> None:
        """Commit ``rows`` (``row()`` of each, flat) as one transaction; ``ceiling`` is raised with it, if given.

        Few big statements, since each one gives up the interpreter lock and has to win it back from a busy event loop.
        """
        with explained(self.path), self._rolled_back_on_error():
            several = ceiling is not None or (len(rows) // COLUMNS) not in INSERTS
            if several:
                self._execute("BEGIN IMMEDIATE")
            if ceiling is not None:
                self._execute("UPDATE marks SET value = ? WHERE name = 'ceiling'", (ceiling,))
            start, left = 0, len(rows) // COLUMNS
            while left:
                size = min(ROWS_PER_STATEMENT_MAX, 1 << (left.bit_length() - 1))
                self._execute(INSERTS[size], rows[start : start + COLUMNS * size])
                start, left = start + COLUMNS * size, left - size
            if several:
                self._execute("COMMIT")

    def mark_compacted(self, revision: int) -> None:
        """Say that the history up to ``revision`` is incomplete; comes before the first row is deleted."""
        with explained(self.path), self._rolled_back_on_error():
            self._execute("UPDATE marks SET value = ? WHERE name = 'compacted'", (revision,))

    def forget(self, revisions: Sequence[int]) -> None:
        """Delete rows. Not synced by itself: a power cut may bring them back, and the next compaction finds them."""
        with explained(self.path), self._rolled_back_on_error():
            self._execute("PRAGMA synchronous=NORMAL")
            try:
                holes = ",".join("?" * len(revisions))
                self._execute(f"DELETE FROM revisions WHERE revision IN ({holes})", revisions)  # noqa: S608
            finally:
                self._execute("PRAGMA synchronous=FULL")

    def used_bytes(self) -> int:
        """What the database holds, without the pages that wait to be used again."""
        with explained(self.path):
            pages = (
                self._execute("PRAGMA page_count").fetchone()[0] - self._execute("PRAGMA freelist_count").fetchone()[0]
            )
            return int(pages) * PAGE_BYTES

    def vacuum(self) -> None:
        """Write the file anew, as small as it can be; takes the room of a second one meanwhile."""
        with explained(self.path):
            self._execute("VACUUM")
            self._execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def checkpoint(self) -> None:
        """Move what is committed from the WAL into the database, so that the WAL starts over."""
        with explained(self.path):
            self._execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def close(self) -> None:
        """Release everything; safe without ``open``, and twice."""
        if self._db is not None:
            self._db.close()
            self._db = None
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1

    def _execute(self, sql: str, parameters: Sequence[object] = ()) -> sqlite3.Cursor:
        assert self._db is not None
        return self._db.execute(sql, parameters)

    @contextlib.contextmanager
    def _rolled_back_on_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            assert self._db is not None
            if self._db.in_transaction:
                with contextlib.suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
            raise

    def _prepare_directory(self) -> None:
        directory = self.path.parent
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o700)
        os.close(os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        self.path.chmod(0o600)
        for made in (directory, directory.parent):
            fd = os.open(made, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)

    def _lock(self) -> None:
        """Hold the file for this process; the kernel lets go of it however the process ends."""
        lock_path = self.path.with_name(self.path.name + ".lock")
        self._lock_fd = os.open(lock_path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._lock_fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
            raise StorageError(
                f"store {self.path} is in use by another server (process {holder}): stop it, or use another directory"
            ) from None
        os.ftruncate(self._lock_fd, 0)
        os.pwrite(self._lock_fd, f"{os.getpid()}\n".encode(), 0)

    def _connect(self) -> None:
        self._db = sqlite3.connect(self.path, isolation_level=None)
        self._execute("PRAGMA busy_timeout=2000")
        empty = self._execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
        if not empty:
            self._check_owner()
        self._execute("PRAGMA journal_mode=WAL")
        self._execute("PRAGMA synchronous=FULL")
        self._execute("PRAGMA wal_autocheckpoint=0")  # the writer does it, after it has answered
        self._execute(f"PRAGMA journal_size_limit={WAL_BYTES_MAX}")
        if empty:
            self._db.executescript(SCHEMA)

    def _check_owner(self) -> None:
        application_id = self._execute("PRAGMA application_id").fetchone()[0]
        version = self._execute("PRAGMA user_version").fetchone()[0]
        if application_id != APPLICATION_ID:
            raise StorageError(f"store {self.path} is some other program's database: move it away or name another")
        if version > SCHEMA_VERSION:
            raise StorageError(f"store {self.path} was written by a newer picluster: upgrade this one")

    def _replay(self, ceiling: int, compacted: int) -> Loaded:
        last = 0
        live: dict[str, Record] = {}
        superseded: list[tuple[int, int]] = []
        history: deque[Event] = deque()
        for revision, key, value, expected in self._execute("SELECT * FROM revisions ORDER BY revision"):
            if checksum(revision, key, value) != expected:
                raise StorageError(
                    f"store {self.path}: {key} at revision {revision} is not what was written; {DAMAGED}"
                )
            last = revision
            old = live.pop(key, None)
            if old is not None:
                superseded.append((revision, old.revision))
            if value is None:
                superseded.append((revision, revision))
            else:
                live[key] = Record(key, value, revision)
            if revision > compacted:
                history.append(Event(revision, key, value))
                if len(history) > HISTORY_MAX:
                    compacted = history.popleft().revision
        snapshot = Snapshot(max(last, ceiling), compacted, list(live.values()), list(history))
        return Loaded(snapshot, superseded)
