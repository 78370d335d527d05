"""Files that appear whole or not at all, also when the power goes half-way."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

PRIVATE = 0o600
PUBLIC = 0o644
LOCK_TIMEOUT_S = 30.0
LOCK_POLL_S = 0.05


class PkiError(Exception):
    """A certificate, key or directory that cannot be used; the message names the cause and the cure."""


def write_file(path: Path, data: bytes, mode: int) -> None:
    """Replace ``path`` by ``data``: written aside, synced, renamed, and the name synced too.

    What an earlier, interrupted write left aside is overwritten, so nothing gathers.
    """
    aside = path.with_name(f".{path.name}.tmp")
    with contextlib.suppress(FileNotFoundError):
        aside.unlink()
    try:
        fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(fd, "wb") as file:
            os.fchmod(fd, mode)
            file.write(data)
            file.flush()
            os.fsync(fd)
        aside.rename(path)
        sync_directory(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            aside.unlink()
        raise PkiError(f"{path} cannot be written: {error.strerror}") from error


def read_file(path: Path) -> bytes | None:
    """The file's bytes, ``None`` when it is not there."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise PkiError(f"{path} cannot be read: {error.strerror}: correct its owner and mode") from error


def sync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextlib.contextmanager
def locked_directory(path: Path) -> Iterator[None]:
    """Make ``path`` if need be, and hold it so that two makers of one PKI take turns."""
    try:
        path.mkdir(mode=0o755, parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise PkiError(
            f"directory {path} cannot be used: {error.strerror}; name another or correct its owner"
        ) from error
    try:
        deadline_s = time.monotonic() + LOCK_TIMEOUT_S
        while not _try_lock(fd):
            if time.monotonic() > deadline_s:
                raise PkiError(f"directory {path} is in use by another process for {LOCK_TIMEOUT_S:.0f} s: end it")
            time.sleep(LOCK_POLL_S)
        yield
    finally:
        os.close(fd)


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
