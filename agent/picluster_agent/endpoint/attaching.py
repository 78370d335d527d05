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
from picluster_agent.endpoint.channels.session import STDERR, STDOUT, Session, Wanted
from picluster_agent.endpoint.execution import exit_status, failure_status
from picluster_agent.logs import logfile
from picluster_agent.logs.logfile import LogOptions
from picluster_agent.podman.monitor import Input, Monitor


async def attach(
    session: Session, monitor: Monitor, container: Object, log: Path, wanted: Wanted, running: Callable[[], bool]
) -> Object:
    """Until the container ends (a success, whatever its exit code) or the client leaves."""
    terminal = bool(container.get("tty"))
    async with AsyncExitStack() as stack:
        following = asyncio.ensure_future(_follow(session, log, wanted, running))
        tasks = [following]
        stack.push_async_callback(_cancel, tasks)
        await asyncio.sleep(0)  # it has found the log's end now, before anything is typed
        if wanted.stdin and container.get("stdin"):
            entry = Input(monitor, terminal=terminal, once=bool(container.get("stdinOnce")))
            try:
                await stack.enter_async_context(entry)
                tasks.append(asyncio.ensure_future(_feed(session, entry)))
            except OSError as error:
                if terminal:
                    return failure_status(f"error attaching to container: {error}")
                tasks.append(asyncio.ensure_future(_discard(session)))  # an earlier client has closed the input
        if terminal:
            tasks.append(asyncio.ensure_future(_sizes(session, monitor)))
        left = asyncio.ensure_future(_left(session))
        tasks.append(left)
        await asyncio.wait((following, left), return_when=asyncio.FIRST_COMPLETED)
        if session.gone.is_set():
            raise ConnectionResetError("the client has gone")
        return exit_status(0)


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _left(session: Session) -> None:
    await session.gone.wait()


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
    await _discard(session)


async def _discard(session: Session) -> None:
    while await session.input.get():
        pass


async def _sizes(session: Session, monitor: Monitor) -> None:
    while True:
        size = await session.size()
        with contextlib.suppress(OSError):
            monitor.resize(*size)
