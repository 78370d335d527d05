"""The file that events go to: written by a thread of its own, bounded in memory and on the disk.

An event that finds the queue full is dropped and counted: a slow card must not slow requests. The thread lets events
gather for a moment, so that it takes the interpreter from the requests ten times a second and not at each of them. A
crash loses that moment, as it does with kube-apiserver's batch mode. Files are private, and turn when they are full:
``audit.log``, ``audit.log.1``, … the highest number is the oldest.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from pathlib import Path
from typing import BinaryIO

from prometheus_client import Counter

log = logging.getLogger(__name__)

QUEUE_MAX = 10_000
GATHER_S = 0.1
STOP_MAX_S = 2.0
MIB = 1 << 20


class AuditLog:
    def __init__(self, path: Path, max_size_bytes: int, backups: int, written: Counter, failed: Counter) -> None:
        self._path = path
        self._max_size_bytes = max_size_bytes
        self._backups = backups
        self._written = written
        self._failed = failed
        self._queue: deque[bytes] = deque()
        self._waiting = threading.Event()
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self._file: BinaryIO | None = None
        self._complained = False

    def write(self, event: bytes) -> None:
        """Take one event, or drop it; never waits."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="audit-log", daemon=True)
            self._thread.start()
        if len(self._queue) >= QUEUE_MAX:
            self._failed.inc()
            return
        self._queue.append(event)
        if not self._waiting.is_set():
            self._waiting.set()

    def close(self) -> None:
        """Write what is queued, within a bound; safe twice."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._ending.set()
        self._waiting.set()
        thread.join(STOP_MAX_S)
        if thread.is_alive():
            log.warning("the audit log did not end in time: %s", self._path)

    def _run(self) -> None:
        ended = False
        while not ended:
            self._waiting.wait()
            ended = self._ending.wait(GATHER_S)
            self._waiting.clear()
            batch = [self._queue.popleft() for _ in range(len(self._queue))]
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
