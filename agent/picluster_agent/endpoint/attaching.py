"""``kubectl attach``: a client joined with what a container says from now on, and with its input.

What it says is read from its log, so a client that reads slowly holds up nobody; conmon, which writes it, would wait.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

from picluster.api.types import Object
from picluster_agent.endpoint import logfile
from picluster_agent.endpoint.channels.session import STDERR, STDOUT, Session, Wanted
from picluster_agent.endpoint.execution import exit_status, failure_status
from picluster_agent.endpoint.logfile import LogOptions
from picluster_agent.podman.monitor import Input, Monitor


async def attach(
    session: Session, monitor: Monitor, container: Object, log: Path, wanted: Wanted, running: Callable[[], bool]
) -> Object:
    """Until the container ends (a success, whatever its exit code) or the client leaves."""
    terminal = bool(container.get("tty"))
    async with AsyncExitStack() as stack:
        tasks: list[asyncio.Task[None]] = []
        if wanted.stdin and container.get("stdin"):
            entry = Input(monitor, terminal=terminal, once=bool(container.get("stdinOnce")))
            try:
                await stack.enter_async_context(entry)
            except OSError as error:
                return failure_status(f"error attaching to container: {error}")
            tasks.append(asyncio.ensure_future(_feed(session, entry)))
        if terminal:
            tasks.append(asyncio.ensure_future(_sizes(session, monitor)))
        following = asyncio.ensure_future(_follow(session, log, wanted, running))
        left = asyncio.ensure_future(session.gone.wait())
        try:
            await asyncio.wait((following, left), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (*tasks, following, left):
                task.cancel()
            await asyncio.gather(*tasks, following, left, return_exceptions=True)
        if session.gone.is_set():
            raise ConnectionResetError("the client has gone")
        return exit_status(0)


async def _follow(session: Session, log: Path, wanted: Wanted, running: Callable[[], bool]) -> None:
    channels = {b"stdout": STDOUT if wanted.stdout else None, b"stderr": STDERR if wanted.stderr else None}
    batches: AsyncIterator[list[bytes]] = logfile.lines(log, LogOptions(follow=True, tail_lines=0), running)
    async for batch in batches:
        for line in batch:
            stream, text = logfile.said(line)
            channel = channels.get(stream)
            if channel is not None and text:
                await session.output(channel, text)


async def _feed(session: Session, entry: Input) -> None:
    with contextlib.suppress(OSError):  # the container reads no more
        while data := await session.input.get():
            await entry.write(data)
    entry.end()
    while await session.input.get():
        pass


async def _sizes(session: Session, monitor: Monitor) -> None:
    while True:
        size = await session.size()
        with contextlib.suppress(OSError):
            monitor.resize(*size)
