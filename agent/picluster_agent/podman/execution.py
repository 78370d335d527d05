"""One bounded command in a running container, for probes and hooks."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from picluster_agent.podman.client import Podman

CHUNK_BYTES = 32 * 1024
OUTPUT_BYTES_MAX = 10 * 1024
PID_PREFIX = "bounded-"
CONTAINER_GROUP = "/libpod-"
"""What the control group of every process in one of Podman's containers has in its name."""


class Finished(NamedTuple):
    exit_code: int
    output: str
    """Standard output and error as they came, cut to ``OUTPUT_BYTES_MAX``; the runtime's, if it started nothing."""
    started: bool = True


async def run(podman: Podman, container_id: str, command: Sequence[str], timeout_s: float) -> Finished:
    """Run ``command`` to its end in a container; raises ``TimeoutError`` after ``timeout_s``, having killed it.

    This asks the OCI runtime itself: an exec session of Podman's keeps two monitor processes for five minutes after its
    end (``exit_command_delay``), which a probe every few seconds turns into hundreds.
    """
    runtime = await podman.runtime(container_id)
    with tempfile.NamedTemporaryFile(dir=runtime.pid_dir, prefix=PID_PREFIX) as pid_file:
        process = await asyncio.create_subprocess_exec(
            runtime.program, "exec", "--pid-file", pid_file.name, container_id, *command,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        assert process.stdout is not None
        output = bytearray()
        try:
            async with asyncio.timeout(timeout_s):
                while data := await process.stdout.read(CHUNK_BYTES):
                    output += data[: OUTPUT_BYTES_MAX - len(output)]
                code = await process.wait()
        except BaseException:  # late or cancelled: neither the command nor its runtime may stay
            _kill(process, Path(pid_file.name))
            await process.wait()
            raise
        started = not code or _was_started(Path(pid_file.name))
    return Finished(code, output.decode(errors="replace"), started)


def sweep(pid_dir: Path) -> None:
    """Make ``pid_dir``, and clean up after an agent that was killed: its bounded commands have nobody to bound them."""
    pid_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    for pid_file in pid_dir.iterdir():
        if pid_file.name.startswith(PID_PREFIX):
            with contextlib.suppress(OSError, ValueError):
                pid = int(pid_file.read_text())
                if CONTAINER_GROUP in Path(f"/proc/{pid}/cgroup").read_text():  # else it is another by now
                    os.kill(pid, signal.SIGKILL)
        pid_file.unlink(missing_ok=True)


def _was_started(pid_file: Path) -> bool:
    """Whether the runtime has told of a process; it puts another file in the place of ours."""
    return bool(pid_file.read_text())


def _kill(process: asyncio.subprocess.Process, pid_file: Path) -> None:
    with contextlib.suppress(OSError, ValueError):
        os.kill(int(pid_file.read_text()), signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        process.kill()
