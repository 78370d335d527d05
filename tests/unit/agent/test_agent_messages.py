"""A container's last words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from picluster_agent.sync.context import PodPaths
from picluster_agent.sync.messages import LOG_BYTES_MAX, MESSAGE_BYTES_MAX, termination_message
from picluster_agent.sync.model import Seen, State

FALL_BACK = {"terminationMessagePolicy": "FallbackToLogsOnError"}


def ended(exit_code: int = 1, **fields: Any) -> Seen:
    return Seen("id", "web", 0, State.EXITED, exit_code=exit_code, **fields)


def said(tmp_path: Path, container: dict[str, Any], of: Seen, *, message: bytes | None = b"", log: bytes = b"") -> str:
    paths = PodPaths(tmp_path, tmp_path / "run")
    for path, content in ((paths.message("web", 0), message), (paths.log("web", 0), log)):
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is not None:
            path.write_bytes(content)
    return termination_message(paths, container, of)


def line(text: str, tag: str = "F") -> bytes:
    return f"2026-11-21T20:00:00.000000000+00:00 stdout {tag} {text}\n".encode()


@pytest.mark.parametrize(
    ("container", "of", "message", "log", "expected"),
    [
        ({}, ended(), b"why", b"", "why"),
        ({}, ended(), None, b"", ""),
        ({}, ended(), b"", line("log"), ""),
        (FALL_BACK, ended(), b"why", line("log"), "why"),
        (FALL_BACK, ended(), b"", line("one") + line("two"), "one\ntwo\n"),
        (FALL_BACK, ended(), b"", line("half ", "P") + line("whole"), "half whole\n"),
        (FALL_BACK, ended(0), b"", line("log"), ""),
        (FALL_BACK, ended(0, reason="OOMKilled"), b"", line("log"), "log\n"),
        ({}, ended(128, message="no such file"), b"", b"", "no such file"),
        ({}, ended(), b"x" + b"y" * MESSAGE_BYTES_MAX, b"", "y" * MESSAGE_BYTES_MAX),
    ],
)
def test_last_words(
    tmp_path: Path, container: dict[str, Any], of: Seen, message: bytes | None, log: bytes, expected: str
) -> None:
    assert said(tmp_path, container, of, message=message, log=log) == expected


def test_of_a_long_log_the_last_eighty_lines_or_two_kibibytes_are_left(tmp_path: Path) -> None:
    many = b"".join(line(str(number)) for number in range(200))
    assert said(tmp_path, FALL_BACK, ended(), log=many) == "".join(f"{number}\n" for number in range(120, 200))
    wide = b"".join(line("x" * 99) for _ in range(50))
    assert len(said(tmp_path, FALL_BACK, ended(), log=wide)) == LOG_BYTES_MAX
