"""What a container has left to say: its termination message file, or the end of its log.

Limits and choice are the kubelet's (``getTerminationMessage`` in ``kuberuntime_container.go``); ``status`` cuts further
where a pod has many containers.
"""

from __future__ import annotations

from pathlib import Path

from picluster.api.types import Object
from picluster_agent.sync.context import PodPaths
from picluster_agent.sync.model import Seen

MESSAGE_BYTES_MAX = 4096
LOG_LINES_MAX = 80
LOG_BYTES_MAX = 2048
LINE_OVERHEAD = 4
"""How much longer than its text a line in the log may be, on average."""
OOM_KILLED = "OOMKilled"


def termination_message(paths: PodPaths, container: Object, ended: Seen) -> str:
    """The last 4 KiB of the file; with ``FallbackToLogsOnError`` the log's end, when it failed without a message."""
    if ended.message:
        return ended.message
    path = paths.message(ended.name, ended.attempt)
    try:
        message = _end(path, MESSAGE_BYTES_MAX).decode(errors="replace")
    except FileNotFoundError:
        message = ""
    except OSError as error:
        return f"Error on reading termination log {path}: {error.strerror}"
    failed = bool(ended.exit_code) or ended.reason == OOM_KILLED
    if message or not failed or container.get("terminationMessagePolicy") != "FallbackToLogsOnError":
        return message
    return _end_of_log(paths.log(ended.name, ended.attempt))


def _end_of_log(path: Path) -> str:
    """At most 80 lines and 2 KiB of what was written, in Podman's ``k8s-file`` format."""
    try:
        tail = _end(path, LINE_OVERHEAD * LOG_BYTES_MAX)
    except OSError:
        return ""
    lines: list[bytes] = []
    for line in tail.split(b"\n"):
        _time, _, rest = line.partition(b" ")
        _stream, _, rest = rest.partition(b" ")
        tag, found, text = rest.partition(b" ")
        if found:
            lines.append(text if tag.startswith(b"P") else text + b"\n")
    return b"".join(lines[-LOG_LINES_MAX:])[-LOG_BYTES_MAX:].decode(errors="replace")


def _end(path: Path, bytes_max: int) -> bytes:
    with path.open("rb") as stream:
        stream.seek(max(path.stat().st_size - bytes_max, 0))
        return stream.read(bytes_max)
