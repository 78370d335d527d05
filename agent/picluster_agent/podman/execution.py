"""Commands inside running containers: the frames of an exec session, and one bounded command for probes and hooks."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import struct
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import NamedTuple

from picluster_agent.podman.client import Podman

STDOUT = 1
STDERR = 2
CHUNK_BYTES = 32 * 1024
OUTPUT_BYTES_MAX = 10 * 1024
EXIT_POLL_S = 0.02
EXIT_WAIT_S = 5.0
PID_DIRECTORY = "/run"
_HEADER = struct.Struct(">BxxxL")


class Finished(NamedTuple):
    exit_code: int
    output: str
    """Standard output and error as they came, cut to ``OUTPUT_BYTES_MAX``."""


async def frames(reader: asyncio.StreamReader) -> AsyncIterator[tuple[int, bytes]]:
    """``(stream, data)`` until the session ends; long frames come in pieces."""
    while True:
        try:
            stream, left = _HEADER.unpack(await reader.readexactly(_HEADER.size))
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        while left:
            data = await reader.read(min(left, CHUNK_BYTES))
            if not data:
                return
            left -= len(data)
            yield stream, data


async def exit_code(podman: Podman, exec_id: str) -> int:
    """How a session whose stream has ended came out; Podman may need a moment to know."""
    code = -1
    for _ in range(int(EXIT_WAIT_S / EXIT_POLL_S)):
        session = await podman.exec_inspect(exec_id)
        code = int(session.get("ExitCode") or 0)
        if not session.get("Running"):
            return code
        await asyncio.sleep(EXIT_POLL_S)
    return code


async def run(podman: Podman, container_id: str, command: Sequence[str], timeout_s: float) -> Finished:
    """Run ``command`` to its end in a container; raises ``TimeoutError`` after ``timeout_s``, having killed it.

    This asks the OCI runtime itself: an exec session of Podman's keeps two monitor processes for five minutes after its
    end (``exit_command_delay``), which a probe every few seconds turns into hundreds.
    """
    runtime = await podman.runtime(container_id)
    with tempfile.NamedTemporaryFile(dir=PID_DIRECTORY, prefix="picluster-exec-") as pid_file:
        process = await asyncio.create_subprocess_exec(
            runtime, "exec", "--pid-file", pid_file.name, container_id, *command,
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
    return Finished(code, output.decode(errors="replace"))


def _kill(process: asyncio.subprocess.Process, pid_file: Path) -> None:
    with contextlib.suppress(OSError, ValueError):
        os.kill(int(pid_file.read_text()), signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        process.kill()
