"""A process that holds a pod's PID namespace: the first in it, and nothing else.

A PID namespace ends with its first process, so unlike the others it cannot be pinned alone. The process sleeps, costs
half a megabyte and no time, and takes up the children that others leave: it ignores SIGCHLD, which makes the kernel
reap them. It is not the agent's child in anything but name and survives it; ``record`` says who it is. What the agent
began and did not record before it was killed ends by itself, because it waits for a word that then never comes.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from picluster_agent import kernel

CLONE_NEWPID = 0x20000000
_SCRIPT = "read word && exec env --ignore-signal=CHLD sleep infinity"
_END_MAX_S = 2.0
_END_POLL_S = 0.005


def start(pin: Path, record: Path, groups: Iterable[Path] = ()) -> None:
    """Start it in a new PID namespace, which is pinned at ``pin``, and in the control groups at ``groups``.

    Blocks for some milliseconds. Raises ``OSError``; ``stop`` cleans up whatever there is then.
    """
    failures: list[BaseException] = []

    def work() -> None:
        try:
            _start(pin, record, groups)
        except BaseException as failure:  # carried over to the calling thread
            failures.append(failure)

    thread = threading.Thread(target=work, name="pause")
    thread.start()
    thread.join()
    if failures:
        raise failures[0]


def _start(pin: Path, record: Path, groups: Iterable[Path]) -> None:
    kernel.unshare(CLONE_NEWPID)  # from now on, children of this thread
    theirs, ours = os.pipe()
    try:
        pid = os.posix_spawn(
            "/bin/sh", ["sh", "-c", _SCRIPT], {"PATH": os.defpath}, setsid=True, setsigdef=signal.valid_signals(),
            file_actions=[
                (os.POSIX_SPAWN_DUP2, theirs, 0),
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
            ],
        )  # fmt: skip
        for group in groups:
            group.mkdir(exist_ok=True)
            (group / "cgroup.procs").write_text(str(pid))
        pin.touch(mode=0o600)
        kernel.mount(f"/proc/{pid}/ns/pid", pin, "none", kernel.MS_BIND)
        record.write_text(f"{pid} {_started(pid)}")
        os.write(ours, b"go\n")
    finally:
        os.close(theirs)
        os.close(ours)


def alive(record: Path) -> int:
    """The process's id, while it lives; else 0."""
    try:
        pid, began = map(int, record.read_text().split())
    except (OSError, ValueError):
        return 0
    return pid if _started(pid) == began else 0


def stop(pin: Path, record: Path) -> None:
    """End it, and with it everything in its namespace; safe without ``start``."""
    if pid := alive(record):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    end_s = time.monotonic() + _END_MAX_S
    while _reap(record) and time.monotonic() < end_s:
        time.sleep(_END_POLL_S)
    kernel.unpin_namespaces({"pid": pin})
    record.unlink(missing_ok=True)


def _reap(record: Path) -> bool:
    """Whether it still has to end. It is the child of the agent that started it, or of none."""
    with contextlib.suppress(OSError, ValueError):
        pid = int(record.read_text().split()[0])
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
    return alive(record) != 0


def _started(pid: int) -> int:
    """When a process started, in clock ticks since the boot; 0 when there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return 0 if fields[0] in "ZX" else int(fields[19])
