"""``kubectl exec``: a command in a running container, joined with a client's channels.

When the command ends, what it has said still goes out, and then its exit code as a Status. When the client leaves, the
command's input and output end, and a terminal hangs up; a command that minds neither runs on.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path

from picluster.api.types import Object
from picluster_agent.endpoint.channels.session import Session, Wanted
from picluster_agent.podman import command as commands
from picluster_agent.podman.client import Podman, PodmanError, PodmanUnavailable
from picluster_agent.podman.command import Command

CHUNK_BYTES = 32 << 10
FIRST_SIZE_S = 0.25
DRAIN_S = 1.0
"""When the command has ended but a child of its holds the output open, it is over when nothing came for so long."""


def exit_status(code: int) -> Object:
    """The Status that tells a client how its command ended."""
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: exit status {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


def failure_status(message: str) -> Object:
    """The Status of what failed on this node; ``message`` says all."""
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"Internal error occurred: {message}",
        "reason": "InternalError",
        "details": {"causes": [{"message": message}]},
        "code": 500,
    }


async def execute(session: Session, podman: Podman, container_id: str, words: Sequence[str], wanted: Wanted) -> Object:
    """Run the command to its end, or until the client leaves; its Status."""
    try:
        runtime = await podman.runtime(container_id)
        if wanted.tty:
            config = Path(str((await podman.inspect(container_id)).get("OCIConfigPath")))
            command = await Command.start_on_terminal(runtime, container_id, words, config, await _first_size(session))
        else:
            command = await Command.start(
                runtime, container_id, words, stdin=wanted.stdin, stdout=wanted.stdout, stderr=wanted.stderr
            )
    except (OSError, ValueError, KeyError, PodmanError, PodmanUnavailable) as error:
        return failure_status(f"error executing command in container: {error}")
    try:
        return await _Joined(session, command).run()
    finally:
        command.close()


async def _first_size(session: Session) -> tuple[int, int] | None:
    """A client on a terminal tells its size at once; a command that looks at it must not be faster."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(FIRST_SIZE_S):
            return await session.size()
    return None


class _Joined:
    def __init__(self, session: Session, command: Command) -> None:
        self._session = session
        self._command = command
        self._relayed = 0
        self._sending = 0
        self._said = b""
        """The end of what was said as an error: the runtime's, when there was no command."""

    async def run(self) -> Object:
        ended = asyncio.ensure_future(self._command.wait())
        left = asyncio.ensure_future(self._session.gone.wait())
        relays = {asyncio.ensure_future(self._relay(number)) for number in self._command.outputs}
        others = [left, *(asyncio.ensure_future(one) for one in (self._feed(), self._sizes()))]
        try:
            await asyncio.wait((ended, left), return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                self._command.hang_up()
                raise ConnectionResetError("the client has gone")
            await self._drain(relays, left)
        finally:
            for task in (*relays, *others, ended):
                task.cancel()
            await asyncio.gather(*relays, *others, ended, return_exceptions=True)
        return self._status(ended.result())

    async def _drain(self, relays: set[asyncio.Task[None]], left: asyncio.Task[bool]) -> None:
        """Let out what the command has said, at the client's pace."""
        before = -1
        while relays and not left.done() and (self._sending or before != self._relayed):
            before = self._relayed
            _, relays = await asyncio.wait(relays, timeout=DRAIN_S)

    def _status(self, code: int) -> Object:
        if code == 0 or self._command.started:
            return exit_status(code)
        error = self._said.decode(errors="replace").strip()
        unstarted = commands.exit_code_unstarted(error)
        if unstarted is not None:
            return exit_status(unstarted)
        return failure_status(f"error executing command in container: {error or f'exit status {code}'}")

    async def _relay(self, number: int) -> None:
        reader = self._command.outputs[number]
        last = max(self._command.outputs)
        with contextlib.suppress(OSError):  # a terminal whose other end is closed, or a client that has gone
            while data := await reader.read(CHUNK_BYTES):
                if number == last:
                    self._said = (self._said + data)[-commands.ERROR_BYTES_MAX :]
                self._sending += 1
                try:
                    await self._session.output(number, data)
                finally:
                    self._sending -= 1
                self._relayed += len(data)

    async def _feed(self) -> None:
        with contextlib.suppress(ConnectionError):  # it reads no more: its output is what counts
            while data := await self._session.input.get():
                await self._command.write(data)
        self._command.end_input()
        while await self._session.input.get():
            pass

    async def _sizes(self) -> None:
        while True:
            self._command.resize(*await self._session.size())
