"""Exec over WebSocket: the channels of ``v4.channel.k8s.io`` and ``v5.channel.k8s.io``, and Podman behind them.

The first byte of each binary message is its channel: 0 standard input, 1 standard output, 2 standard error, 3 the final
Status, 4 the terminal's size. In v5 a message ``[255, n]`` says that the peer has closed channel ``n``.
Source: KEP-4006 and ``k8s.io/apimachinery/pkg/util/remotecommand``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import WSMsgType, web

from picluster.api.types import Object
from picluster_agent.podman import execution
from picluster_agent.podman.client import Podman, PodmanError, PodmanUnavailable

V5 = "v5.channel.k8s.io"
V4 = "v4.channel.k8s.io"
PROTOCOLS = (V5, V4)
STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
HEARTBEAT_S = 30.0
MESSAGE_BYTES_MAX = 1 << 20


@dataclass(frozen=True, slots=True)
class ExecRequest:
    container_id: str
    command: Sequence[str]
    stdin: bool
    stdout: bool
    stderr: bool
    tty: bool


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
    return {"metadata": {}, "status": "Failure", "message": message, "reason": "InternalError", "code": 500}


async def serve(request: web.Request, podman: Podman, wanted: ExecRequest) -> web.WebSocketResponse:
    """Upgrade, run the command, relay, and end with its status."""
    socket = web.WebSocketResponse(protocols=PROTOCOLS, heartbeat=HEARTBEAT_S, max_msg_size=MESSAGE_BYTES_MAX)
    await socket.prepare(request)
    try:
        status = await _run(socket, podman, wanted)
    except PodmanError as error:
        status = failure_status(f"error executing command in container: {error}")
    except (PodmanUnavailable, OSError) as error:
        status = failure_status(str(error))
    with contextlib.suppress(ConnectionError):
        await socket.send_bytes(bytes((ERROR,)) + json.dumps(status).encode())
    await socket.close()
    return socket


async def _run(socket: web.WebSocketResponse, podman: Podman, wanted: ExecRequest) -> Object:
    body = {
        "AttachStdin": wanted.stdin,
        "AttachStdout": wanted.stdout,
        "AttachStderr": wanted.stderr and not wanted.tty,
        "Tty": wanted.tty,
        "Cmd": list(wanted.command),
    }
    exec_id = await podman.exec_create(wanted.container_id, body)
    reader, writer = await podman.exec_start(exec_id, tty=wanted.tty)
    feeding = asyncio.ensure_future(_feed(socket, podman, exec_id, writer))
    relaying = asyncio.ensure_future(_relay(socket, reader, tty=wanted.tty))
    try:
        await asyncio.wait((feeding, relaying), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (feeding, relaying):
            task.cancel()
        await asyncio.gather(feeding, relaying, return_exceptions=True)
        writer.close()
    return exit_status(await execution.exit_code(podman, exec_id))


async def _relay(socket: web.WebSocketResponse, reader: asyncio.StreamReader, *, tty: bool) -> None:
    """What the command prints goes to the client; its pace is the client's."""
    with contextlib.suppress(ConnectionError):
        if tty:
            while data := await reader.read(execution.CHUNK_BYTES):
                await socket.send_bytes(bytes((STDOUT,)) + data)
            return
        async for stream, data in execution.frames(reader):
            channel = STDERR if stream == execution.STDERR else STDOUT
            await socket.send_bytes(bytes((channel,)) + data)


async def _feed(socket: web.WebSocketResponse, podman: Podman, exec_id: str, writer: asyncio.StreamWriter) -> None:
    """What the client types goes to the command, until the client leaves."""
    async for message in socket:
        if message.type is not WSMsgType.BINARY or not message.data:
            continue
        channel, data = message.data[0], message.data[1:]
        if channel == STDIN:
            writer.write(data)
            await writer.drain()
        elif channel == RESIZE:
            with contextlib.suppress(ValueError, KeyError, PodmanError):
                size = json.loads(data)
                await podman.exec_resize(exec_id, int(size["Width"]), int(size["Height"]))
        elif channel == CLOSE and data[:1] == bytes((STDIN,)):
            writer.write_eof()
