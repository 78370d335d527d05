"""The channels of one command, whatever carries them: input, output, error, the final status, the terminal's size."""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from picluster.api.types import Object
from picluster_agent.endpoint.channels.pipe import Pipe
from picluster_agent.endpoint.channels.spdy import IDLE_TIMEOUT_S

STDIN, STDOUT, STDERR, ERROR, RESIZE = 0, 1, 2, 3, 4
"""The numbers of the channels. Source: ``k8s.io/apimachinery/pkg/util/remotecommand``."""
OPEN_TIMEOUT_S = 30.0
"""How long a client may take to open its channels."""
SIZE_MAX = 1000


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which channels the request asks for."""

    stdin: bool
    stdout: bool
    stderr: bool
    tty: bool


class Session(ABC):
    """One client and its command's channels. ``gone`` is set when the client has left."""

    def __init__(self) -> None:
        self.input = Pipe()
        self.gone = asyncio.Event()
        self._size: tuple[int, int] | None = None
        self._resized = asyncio.Event()
        self._active_s = asyncio.get_running_loop().time()

    @abstractmethod
    async def output(self, channel: int, data: bytes) -> None:
        """Send to ``STDOUT`` or ``STDERR``, at the client's pace; raises ``ConnectionError`` when it has gone."""

    @abstractmethod
    async def finish(self, status: Object) -> None:
        """Send how the command ended, in the words of the protocol, and close."""

    async def size(self) -> tuple[int, int]:
        """The terminal's width and height, whenever they change."""
        await self._resized.wait()
        self._resized.clear()
        assert self._size is not None
        return self._size

    def resize(self, message: bytes) -> None:
        """Take a message of the resize channel; one that is no size is left out."""
        try:
            document = json.loads(message)
            width, height = int(document["Width"]), int(document["Height"])
        except (ValueError, KeyError, TypeError):
            return
        if 0 < width <= SIZE_MAX and 0 < height <= SIZE_MAX:
            self._size = width, height
            self._resized.set()

    def active(self) -> None:
        """A byte has passed."""
        self._active_s = asyncio.get_running_loop().time()

    def leave(self) -> None:
        """The client has gone."""
        self.input.end()
        self.gone.set()

    async def watch_idle(self) -> None:
        """Declare the client gone when nothing has passed for too long."""
        loop = asyncio.get_running_loop()
        left_s = IDLE_TIMEOUT_S
        while left_s > 0:
            await asyncio.sleep(left_s)
            left_s = self._active_s + IDLE_TIMEOUT_S - loop.time()
        self.leave()


Run = Callable[[Session], Awaitable[Object]]
"""Runs what the session is for; its Status."""


async def run(session: Session, reading: Awaitable[None], command: Run) -> None:
    """Run ``command`` while ``reading`` takes what the client sends; then tell the client how it ended."""
    tasks = [asyncio.ensure_future(reading), asyncio.ensure_future(session.watch_idle())]
    tasks[0].add_done_callback(lambda _: session.leave())
    try:
        status = await command(session)
        await session.finish(status)
    except ConnectionError:
        pass  # the client has gone: there is nobody to tell
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def error_text(status: Object) -> bytes:
    """What protocols before v4 say of a failure: a sentence, and nothing of a success."""
    return b"" if status["status"] == "Success" else str(status["message"]).encode()


def refuse(text: str) -> web.HTTPException:
    """A request that cannot be upgraded, in the words of ``k8s.io/streaming``."""
    return web.HTTPForbidden(text=text)
