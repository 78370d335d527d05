"""What a container has left to say: its termination message file, or the end of its log."""

from __future__ import annotations

import contextlib
from pathlib import Path

from picluster.api.types import Object
from picluster_agent.sync.context import PodPaths
from picluster_agent.sync.model import Seen

MESSAGE_BYTES_MAX = 4096
LOG_LINES_MAX = 80
LOG_BYTES_MAX = 2048


def termination_message(paths: PodPaths, container: Object, ended: Seen) -> str:
    """At most 4 KiB; with ``FallbackToLogsOnError`` the log's last lines, when it failed without a message."""
    message = _tail(paths.message(ended.name, ended.attempt), MESSAGE_BYTES_MAX, from_start=True)
    fall_back = container.get("terminationMessagePolicy") == "FallbackToLogsOnError"
    if message or not fall_back or not ended.exit_code:
        return message
    tail = _tail(paths.log(ended.name, ended.attempt), 4 * LOG_BYTES_MAX)
    lines = [line.split(" ", 3)[3] for line in tail.splitlines() if line.count(" ") >= 3]
    return "".join(line + "\n" for line in lines[-LOG_LINES_MAX:])[-LOG_BYTES_MAX:]


def _tail(path: Path, bytes_max: int, *, from_start: bool = False) -> str:
    with contextlib.suppress(OSError), path.open("rb") as stream:
        if not from_start:
            stream.seek(max(path.stat().st_size - bytes_max, 0))
        return stream.read(bytes_max).decode(errors="replace")
    return ""
