"""A container's conmon, spoken to directly: its terminal's size, its log begun anew, its input.

conmon keeps a FIFO ``ctl`` and a socket ``attach`` in the container's bundle (conmon 2, ``src/ctrl.c`` and
``src/conn_sock.c``; Podman uses them in the same way). Whoever leaves the socket takes the container's input along, so
input goes into the pipe itself, which is found among conmon's descriptors: several clients may come and go (``stdin``
without ``stdinOnce``).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from pathlib import Path

from picluster.api.types import Object

RESIZE, REOPEN = 1, 2
SIZE_MAX = 1000
PACKET_BYTES_MAX = 8192
"""What conmon takes at one time."""


class Monitor:
    """That of one container, from its inspection; the container may end at any moment."""

    def __init__(self, inspected: Object) -> None:
        state = inspected.get("State") or {}
        self._bundle = Path(str(inspected.get("OCIConfigPath") or "/nonexistent/config.json")).parent
        self._pid = int(state.get("Pid") or 0)
        self._conmon = int(state.get("ConmonPid") or 0)

    def resize(self, width: int, height: int) -> None:
        if 0 < width <= SIZE_MAX and 0 < height <= SIZE_MAX:
            self._control(f"{RESIZE} {height} {width}\n")

    def reopen_log(self) -> None:
        """Have conmon put a new, empty log in the place of the one it writes; raises ``OSError``."""
        self._control(f"{REOPEN} 0 0\n")

    def open_input(self) -> int:
        """A descriptor that writes to the container's input without a terminal; raises ``OSError`` if it has none."""
        wanted = os.stat(f"/proc/{self._pid}/fd/0").st_ino  # noqa: PTH116 - a magic link, not a path
        for entry in os.scandir(f"/proc/{self._conmon}/fd"):
            with contextlib.suppress(OSError):
                if entry.is_file(follow_symlinks=True) or entry.stat().st_ino != wanted:
                    continue
                return os.open(entry.path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        raise OSError("the container's input is closed")

    def close_input(self) -> None:
        """End the container's input for good; raises ``OSError``."""
        self.attach().close()

    def attach(self) -> socket.socket:
        """A connection to the container's terminal: packets, of which those that come begin with their stream."""
        directory = os.open(self._bundle, os.O_PATH | os.O_CLOEXEC)
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            connection.setblocking(False)
            connection.connect(f"/proc/self/fd/{directory}/attach")  # a bundle's own path is too long for a socket
        except BaseException:
            connection.close()
            raise
        finally:
            os.close(directory)
        return connection

    def _control(self, line: str) -> None:
        descriptor = os.open(self._bundle / "ctl", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)


class Input:
    """The way into a container. ``async with``; what is written after its end goes nowhere."""

    def __init__(self, monitor: Monitor, *, terminal: bool, once: bool) -> None:
        self._monitor = monitor
        self._terminal = terminal
        self._once = once
        self._writer: asyncio.StreamWriter | None = None
        self._socket: socket.socket | None = None
        self._draining: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Input:
        """Raises ``OSError``."""
        loop = asyncio.get_running_loop()
        if self._terminal:
            self._socket = self._monitor.attach()
            self._draining = asyncio.ensure_future(self._drain(self._socket))
            return self
        pipe = os.fdopen(self._monitor.open_input(), "wb", buffering=0)
        transport, protocol = await loop.connect_write_pipe(
            lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader()), pipe
        )
        self._writer = asyncio.StreamWriter(transport, protocol, None, loop)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._draining is not None:
            self._draining.cancel()
            await asyncio.gather(self._draining, return_exceptions=True)
        if self._socket is not None:
            self._socket.close()
        self.end()

    async def write(self, data: bytes) -> None:
        """Raises ``OSError`` when the container reads no more."""
        if self._writer is not None:
            self._writer.write(data)
            await self._writer.drain()
        elif self._socket is not None:
            for at in range(0, len(data), PACKET_BYTES_MAX):
                await asyncio.get_running_loop().sock_sendall(self._socket, data[at : at + PACKET_BYTES_MAX])

    def end(self) -> None:
        """This client writes no more; the first one takes the input along where the pod says so."""
        if self._writer is None:
            return
        self._writer.close()
        self._writer = None
        if self._once:
            with contextlib.suppress(OSError):
                self._monitor.close_input()

    @staticmethod
    async def _drain(connection: socket.socket) -> None:
        """conmon waits for whoever does not read, and the container with it."""
        with contextlib.suppress(OSError):
            while await asyncio.get_running_loop().sock_recv(connection, PACKET_BYTES_MAX + 1):
                pass
