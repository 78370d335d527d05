"""The audit log's file: turned when it is full, private, and never in the way."""

from __future__ import annotations

from pathlib import Path

from prometheus_client import CollectorRegistry, Counter

from picluster.apiserver.audit import log as logs
from picluster.apiserver.audit.log import AuditLog


class Opened:
    def __init__(self, path: Path, max_size_bytes: int = 100, backups: int = 2) -> None:
        registry = CollectorRegistry()
        self.written = Counter("written", "Written.", registry=registry)
        self.failed = Counter("failed", "Failed.", registry=registry)
        self.log = AuditLog(path, max_size_bytes, backups, self.written, self.failed)

    def counts(self) -> tuple[float, float]:
        return self.written._value.get(), self.failed._value.get()


def test_files_turn_and_the_oldest_goes(tmp_path: Path) -> None:
    opened = Opened(tmp_path / "audit" / "audit.log")
    for number in range(12):
        opened.log.write(b'{"number":%02d,"fill":"%s"}' % (number, b"x" * 20))
    opened.log.close()
    files = sorted(path.name for path in (tmp_path / "audit").iterdir())
    assert files == ["audit.log", "audit.log.1", "audit.log.2"]
    assert all(path.stat().st_size <= 100 for path in (tmp_path / "audit").iterdir())
    assert (tmp_path / "audit" / "audit.log").read_bytes().splitlines()[-1].startswith(b'{"number":11')
    assert (tmp_path / "audit" / "audit.log").stat().st_mode & 0o777 == 0o600
    assert opened.counts() == (12, 0)


def test_a_log_that_cannot_be_written_drops_and_counts(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    opened = Opened(tmp_path / "file" / "audit.log")
    opened.log.write(b"{}")
    opened.log.close()
    assert opened.counts() == (0, 1)


def test_a_full_queue_drops_and_counts(tmp_path: Path) -> None:
    opened = Opened(tmp_path / "audit.log", max_size_bytes=1 << 20)
    opened.log._thread = object()  # type: ignore[assignment]  # nobody takes from the queue
    for _ in range(logs.QUEUE_MAX + 3):
        opened.log.write(b"{}")
    assert opened.counts() == (0, 3)


def test_closing_is_safe_twice_and_without_a_start(tmp_path: Path) -> None:
    opened = Opened(tmp_path / "audit.log")
    opened.log.close()
    opened.log.write(b"{}")
    opened.log.close()
    opened.log.close()
    assert opened.counts() == (1, 0)
