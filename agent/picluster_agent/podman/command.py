"""A command in a running container with its input, output and terminal: what ``kubectl exec`` runs.

The OCI runtime itself is asked, as for probes (ADR 5): it stands in for the command, passes bytes and signals on and
ends with its exit code, and nothing of it is left then. With a terminal, it has one end of a terminal of ours and makes
the container's own; both are told their size.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import re
import signal
import struct
import tempfile
import termios
import tty
from collections.abc import Sequence
from pathlib import Path

from picluster.api.types import Object
from picluster_agent.podman.client import Runtime

STDOUT, STDERR = 1, 2
NOT_EXECUTABLE, NOT_FOUND = 126, 127
"""Exit codes of a command that could not be started, as shells have them."""
Size = tuple[int, int]
"""Of a terminal: width and height."""
ERROR_BYTES_MAX = 4096
_NOT_FOUND = re.compile(r"executable file .*not found|no such file or directory", re.IGNORECASE)
_NOT_EXECUTABLE = re.compile(r"permission denied|is a directory|exec format error", re.IGNORECASE)


class Command:
    """One command; ``outputs`` are its streams by number, with a terminal only ``STDOUT``. ``close`` it at the end."""

    def __init__(self, pid_file: Path) -> None:
        self._pid_file = pid_file
        self._process: asyncio.subprocess.Process | None = None
        self._terminal: int | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._readers: list[asyncio.BaseTransport] = []
        self.outputs: dict[int, asyncio.StreamReader] = {}

    @classmethod
    async def start(
        cls, runtime: Runtime, container_id: str, words: Sequence[str], *, stdin: bool, stdout: bool, stderr: bool
    ) -> Command:
        """Without a terminal; streams that nobody wants lead nowhere."""
        command = cls(_new_pid_file(runtime.pid_dir))
        theirs = [-1, -1, -1]
        try:
            if stdin:
                theirs[0], ours = os.pipe()
                await command._write_to(ours)
            for number, asked in ((STDOUT, stdout), (STDERR, stderr)):
                if asked:
                    ours, theirs[number] = os.pipe()
                    await command._read_from(ours, number)
            await command._spawn(runtime.program, [container_id, *words], theirs)
        except BaseException:
            command.close()
            raise
        finally:
            _close(theirs)
        return command

    @classmethod
    async def start_on_terminal(
        cls, runtime: Runtime, container_id: str, words: Sequence[str], config: Path, size: Size | None
    ) -> Command:
        """``config`` is the container's ``config.json``; raises ``OSError`` or ``ValueError`` if it cannot be read."""
        document = json.loads(await asyncio.to_thread(config.read_bytes))
        command = cls(_new_pid_file(runtime.pid_dir))
        command._terminal, theirs = os.openpty()
        process = os.memfd_create("process")  # with the container's environment: nothing of it may stay anywhere
        try:
            os.write(process, json.dumps(on_terminal(document, words, size)).encode())
            tty.setraw(theirs)
            if size is not None:
                command._set_size(*size)
            await command._write_to(os.dup(command._terminal))
            await command._read_from(os.dup(command._terminal), STDOUT)
            await command._spawn(
                runtime.program, ["--process", f"/proc/self/fd/{process}", container_id], [theirs] * 3, process
            )
        except BaseException:
            command.close()
            raise
        finally:
            _close([theirs, process])
        return command

    async def _spawn(self, program: str, words: Sequence[str], streams: Sequence[int], *kept: int) -> None:
        stdin, stdout, stderr = (one if one >= 0 else asyncio.subprocess.DEVNULL for one in streams)
        self._process = await asyncio.create_subprocess_exec(
            program, "exec", "--pid-file", str(self._pid_file), *words,
            stdin=stdin, stdout=stdout, stderr=stderr, start_new_session=True, pass_fds=kept,
        )  # fmt: skip

    async def _read_from(self, descriptor: int, number: int) -> None:
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb", buffering=0)
        )
        self._readers.append(transport)
        self.outputs[number] = reader

    async def _write_to(self, descriptor: int) -> None:
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.connect_write_pipe(
            lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader()), os.fdopen(descriptor, "wb", buffering=0)
        )
        self._writer = asyncio.StreamWriter(transport, protocol, None, loop)

    async def write(self, data: bytes) -> None:
        """Give ``data`` to the command, at its pace; raises ``ConnectionError`` when it reads no more."""
        assert self._writer is not None
        self._writer.write(data)
        await self._writer.drain()

    def end_input(self) -> None:
        """Nothing more is typed. A terminal has no such end: it is hung up when the client leaves."""
        if self._terminal is None and self._writer is not None:
            self._writer.close()

    def resize(self, width: int, height: int) -> None:
        if self._terminal is not None:
            self._set_size(width, height)
            self._signal(signal.SIGWINCH)

    def _set_size(self, width: int, height: int) -> None:
        assert self._terminal is not None
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def hang_up(self) -> None:
        """The client has left: input and output end, a terminal's command is told. What it does then is its own.

        The runtime's process goes, since runc would hold pipes open that nobody reads.
        """
        self._end_streams()
        self._signal(signal.SIGHUP if self._terminal is not None else signal.SIGKILL)

    async def wait(self) -> int:
        """The exit code, as soon as the command itself has ended."""
        assert self._process is not None
        return await self._process.wait()

    @property
    def started(self) -> bool:
        """Whether the runtime got as far as to start it."""
        try:
            return bool(self._pid_file.read_text())
        except OSError:
            return False

    def close(self) -> None:
        """Let go of everything of ours; the command itself, if it runs, goes on."""
        self._pid_file.unlink(missing_ok=True)
        self._end_streams()
        if self._terminal is not None:
            os.close(self._terminal)
            self._terminal = None

    def _end_streams(self) -> None:
        if self._writer is not None and not self._writer.is_closing():
            self._writer.transport.abort()
        for transport in self._readers:
            transport.close()

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)


def on_terminal(config: Object, words: Sequence[str], size: Size | None) -> Object:
    """The process of a container's ``config.json`` with another command, on a terminal. PURE.

    It is given whole, since crun forgets the container's environment when it is told of a variable.
    """
    process = {key: value for key, value in config["process"].items() if key != "consoleSize"}
    env = [one for one in process.get("env") or () if not one.startswith("TERM=")]
    if size is not None:
        process["consoleSize"] = {"width": size[0], "height": size[1]}
    return {**process, "args": list(words), "env": [*env, "TERM=xterm"], "terminal": True}


def exit_code_unstarted(error: str) -> int | None:
    """The exit code of a command that was not started, by the runtime's ``error``; ``None`` for another reason."""
    if _NOT_FOUND.search(error):
        return NOT_FOUND
    return NOT_EXECUTABLE if _NOT_EXECUTABLE.search(error) else None


def _close(descriptors: Sequence[int]) -> None:
    for descriptor in descriptors:
        if descriptor >= 0:
            os.close(descriptor)


def _new_pid_file(directory: Path) -> Path:
    descriptor, name = tempfile.mkstemp(dir=directory, prefix="exec-")
    os.close(descriptor)
    return Path(name)
