"""The file that events go to: written by a thread of its own, bounded in memory and on the disk.

An event that finds the queue full is dropped and counted: a slow card must not slow requests. Files are private, and
turn when they are full: ``audit.log``, ``audit.log.1``, … the highest number is the oldest.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
from pathlib import Path
from typing import BinaryIO

from prometheus_client import Counter

log = logging.getLogger(__name__)

QUEUE_MAX = 10_000
BATCH_MAX = 500
STOP_MAX_S = 2.0
MIB = 1 << 20


class AuditLog:
    def __init__(self, path: Path, max_size_bytes: int, backups: int, written: Counter, failed: Counter) -> None:
        self._path = path
        self._max_size_bytes = max_size_bytes
        self._backups = backups
        self._written = written
        self._failed = failed
        self._queue: queue.Queue[bytes | None] = queue.Queue(QUEUE_MAX)
        self._thread: threading.Thread | None = None
        self._file: BinaryIO | None = None
        self._complained = False

    def write(self, event: bytes) -> None:
        """Take one event, or drop it; never waits."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="audit-log", daemon=True)
            self._thread.start()
        try:
            self._queue.put_nowait(event)
        except queue.Full:
            self._failed.inc()

    def close(self) -> None:
        """Write what is queued, within a bound; safe twice."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        try:
            self._queue.put(None, timeout=STOP_MAX_S)
        except queue.Full:
            log.warning("the audit log did not end in time: %s", self._path)
            return
        thread.join(STOP_MAX_S)

    def _run(self) -> None:
        ended = False
        while not ended:
            batch, ended = self._batch()
            try:
                self._append(batch)
                self._written.inc(len(batch))
                self._complained = False
            except OSError as error:
                self._failed.inc(len(batch))
                self._complain(error)
        if self._file is not None:
            self._file.close()
            self._file = None

    def _batch(self) -> tuple[list[bytes], bool]:
        """Wait for one event and take what else has queued; whether it was the last."""
        batch: list[bytes] = []
        event = self._queue.get()
        while event is not None:
            batch.append(event)
            if len(batch) == BATCH_MAX or self._queue.empty():
                return batch, False
            event = self._queue.get()
        return batch, True

    def _append(self, batch: list[bytes]) -> None:
        for event in batch:
            file = self._file or self._open()
            if file.tell() and file.tell() + len(event) + 1 > self._max_size_bytes:
                file = self._turn(file)
            file.write(event + b"\n")
        if self._file is not None:
            self._file.flush()

    def _open(self) -> BinaryIO:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._file = os.fdopen(fd, "ab")
        return self._file

    def _turn(self, file: BinaryIO) -> BinaryIO:
        file.close()
        self._file = None
        for number in range(self._backups, 0, -1):
            older = self._named(number)
            newer = self._named(number - 1)
            if newer.exists():
                newer.replace(older)
        if not self._backups:
            self._path.unlink(missing_ok=True)
        return self._open()

    def _named(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}") if number else self._path

    def _complain(self, error: OSError) -> None:
        """Once for each time that it breaks, not for each event."""
        self._file = None
        if not self._complained:
            log.error("audit events are lost: %s cannot be written: %s", self._path, error.strerror)
        self._complained = True
