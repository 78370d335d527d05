"""``kubectl port-forward``: connections to ports of a pod, made inside its network namespace.

Over SPDY a client opens two streams for each connection, which name the port and share a ``requestid``: data, and what
went wrong. Over the older WebSocket protocol the ports are in the query; each has two channels, whose first message is
the port. Source: ``pkg/cri/streaming/portforward`` of the kubelet; the tunnel of SPDY in a WebSocket is KEP-4006's.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Protocol

from aiohttp import web

from picluster.util.upgrade import Switched
from picluster_agent import kernel
from picluster_agent.endpoint.channels import spdysession, websocket
from picluster_agent.endpoint.channels.link import Link, TunnelLink
from picluster_agent.endpoint.channels.pipe import Pipe
from picluster_agent.endpoint.channels.session import OPEN_TIMEOUT_S
from picluster_agent.endpoint.channels.spdy import IDLE_TIMEOUT_S, Connection, Stream

PROTOCOL = "portforward.k8s.io"
TUNNEL = "SPDY/3.1+portforward.k8s.io"
PROTOCOLS = (TUNNEL, websocket.V4, websocket.V4_BASE64)
CHUNK_BYTES = 32 << 10
CONNECT_TIMEOUT_S = 10.0
LINGER_S = 1.0
"""When the pod's side has closed, so much time is left for what the client still sends."""
HALF_CLOSED_S = 60.0
"""When the client has closed its side, the pod's must say something this often."""
PORT_MAX = 65535
_PORT = struct.Struct("<H")


class Target:
    """A pod's network: ``namespace`` is where it is pinned, ``None`` the host's own."""

    def __init__(self, pod: str, uid: str, namespace: Path | None) -> None:
        self.pod = pod
        self.uid = uid
        self._namespace = namespace

    async def connect(self, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Port ``port`` of localhost, over either IP; raises ``ConnectionError`` in the CRI's words."""
        failures = []
        for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            try:
                return await self._connect(family, host, port)
            except (OSError, TimeoutError) as error:
                number = error.errno if isinstance(error, OSError) else None
                why = f"connect: {os.strerror(number).lower()}" if number else "i/o timeout"
                shown = f"[{host}]" if ":" in host else host
                failures.append(f"dial tcp{'6' if ':' in host else '4'} {shown}:{port}: {why}")
        raise ConnectionError(
            f'failed to connect to localhost:{port} inside namespace "{self._namespace or "host"}", '
            f"IPv4: {failures[0]} IPv6 {failures[1]} "
        )

    async def _connect(
        self, family: socket.AddressFamily, host: str, port: int
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._namespace is None:
            made = socket.socket(family, socket.SOCK_STREAM)
        else:
            made = kernel.socket_in(self._namespace, family, socket.SOCK_STREAM)
        try:
            made.setblocking(False)
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await asyncio.get_running_loop().sock_connect(made, (host, port))
            return await asyncio.open_connection(sock=made)
        except BaseException:
            made.close()
            raise

    def failure(self, port: int | str, error: object) -> bytes:
        return f"error forwarding port {port} to pod {self.pod}, uid {self.uid}: {error}".encode()


class Way(Protocol):
    """The client's end of one forwarded connection."""

    @property
    def gone(self) -> bool:
        """Whether the client takes nothing more, either."""

    async def read(self) -> bytes: ...

    async def write(self, data: bytes) -> None: ...

    async def finish(self) -> None: ...


async def forward(way: Way, target: Target, port: int) -> None:
    """Join ``way`` with the pod's port until either side is done; raises ``ConnectionError`` if it is not reached."""
    reader, writer = await target.connect(port)
    passed_bytes = 0

    async def upstream() -> None:
        with contextlib.suppress(OSError):
            while data := await way.read():
                writer.write(data)
                await writer.drain()
            writer.write_eof()

    async def downstream() -> None:
        nonlocal passed_bytes
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                await way.write(data)
                passed_bytes += len(data)
        await way.finish()

    up, down = asyncio.ensure_future(upstream()), asyncio.ensure_future(downstream())
    try:
        await asyncio.wait((up, down), return_when=asyncio.FIRST_COMPLETED)
        before = -1
        while not (down.done() or way.gone) and before != passed_bytes:
            before = passed_bytes
            await asyncio.wait((down,), timeout=HALF_CLOSED_S)
        await asyncio.wait((up,), timeout=LINGER_S)
    finally:
        for task in (up, down):
            task.cancel()
        await asyncio.gather(up, down, return_exceptions=True)
        writer.close()


class _Pairs:
    """The streams of a SPDY connection, two by two."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._waiting: dict[str, dict[str, Stream]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def on_stream(self, stream: Stream) -> bool:
        kind, port = stream.headers.get("streamtype", ""), stream.headers.get("port", "")
        if kind not in ("data", "error") or not port.isdigit() or not 0 < int(port) <= PORT_MAX:
            return False
        default = stream.number if kind == "error" else stream.number - 2
        request = stream.headers.get("requestid") or str(default)
        pair = self._waiting.setdefault(request, {})
        if kind in pair:
            return False
        pair[kind] = stream
        if len(pair) == 1:
            self._spawn(self._expire(request, stream))
        else:
            del self._waiting[request]
            self._spawn(self._serve(pair["data"], pair["error"], int(port)))
        return True

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _expire(self, request: str, stream: Stream) -> None:
        """One stream without the other is of no use."""
        await asyncio.sleep(OPEN_TIMEOUT_S)
        if stream in self._waiting.get(request, {}).values():
            del self._waiting[request]
            await stream.reset()

    async def _serve(self, data: Stream, error: Stream, port: int) -> None:
        try:
            await forward(data, self._target, port)
        except ConnectionError as failure:
            with contextlib.suppress(ConnectionError):
                await error.write(self._target.failure(port, failure))
        finally:
            for stream in (data, error):
                await stream.finish()
                stream.pipe.abandon()


async def _serve_spdy(link: Link, target: Target) -> None:
    pairs = _Pairs(target)
    connection = Connection(link, pairs.on_stream)
    try:
        await connection.run()
    finally:
        await pairs.close()
        await connection.close()


class _Channels:
    """One port of the WebSocket protocol."""

    def __init__(self, socket: web.WebSocketResponse, channel: int, *, text: bool) -> None:
        self._socket = socket
        self._channel = channel
        self._text = text
        self.pipe = Pipe()
        self.passed = 0
        """Messages both ways."""

    @property
    def gone(self) -> bool:
        return self._socket.closed

    async def read(self) -> bytes:
        return await self.pipe.get()

    async def write(self, data: bytes) -> None:
        self.passed += 1
        await websocket.send(self._socket, self._channel, data, text=self._text)

    async def finish(self) -> None:
        return None

    async def serve(self, target: Target, port: int) -> None:
        errors = self._channel + 1
        for channel in (self._channel, errors):
            await websocket.send(self._socket, channel, _PORT.pack(port), text=self._text)
        try:
            await forward(self, target, port)
        except ConnectionError as failure:
            await websocket.send(self._socket, errors, target.failure(port, failure), text=self._text)


async def _serve_channels(socket: web.WebSocketResponse, target: Target, ports: Sequence[int]) -> None:
    text = socket.ws_protocol == websocket.V4_BASE64
    ways = [_Channels(socket, 2 * index, text=text) for index in range(len(ports))]
    tasks = [asyncio.ensure_future(way.serve(target, port)) for way, port in zip(ways, ports, strict=True)]

    async def read() -> None:
        async for message in socket:
            decoded = websocket.decode(message, text=text)
            if decoded is not None and decoded[0] % 2 == 0 and decoded[0] // 2 < len(ways):
                way = ways[decoded[0] // 2]
                way.passed += 1
                await way.pipe.put(decoded[1])

    reading = asyncio.ensure_future(read())
    try:
        served = asyncio.gather(*tasks, return_exceptions=True)
        passed = -1
        while passed != (passed := sum(way.passed for way in ways)):
            done, _ = await asyncio.wait((reading, served), return_when=asyncio.FIRST_COMPLETED, timeout=IDLE_TIMEOUT_S)
            if done:
                return
    finally:
        for task in (reading, *tasks):
            task.cancel()
        await asyncio.gather(reading, *tasks, return_exceptions=True)


def needs_ports(request: web.BaseRequest) -> bool:
    """Whether the ports must be in the query: in the protocols where streams do not name theirs."""
    return websocket.is_websocket(request) and TUNNEL not in websocket.offered(request)


async def serve(request: web.Request, target: Target, ports: Sequence[int]) -> web.StreamResponse:
    """Forward for as long as the client stays; ``ports`` are the query's, which only one protocol needs."""
    if websocket.is_websocket(request):
        socket = await websocket.accept(request, PROTOCOLS)
        try:
            if socket.ws_protocol == TUNNEL:
                await _serve_spdy(TunnelLink(socket), target)
            else:
                await _serve_channels(socket, target, ports)
        except ConnectionError:
            pass  # the client has gone
        finally:
            await socket.close()
        return socket
    link = spdysession.upgrade(request, spdysession.negotiated(request, (PROTOCOL,)))
    await _serve_spdy(link, target)
    return Switched()
