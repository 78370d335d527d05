"""Channels over SPDY/3.1: one stream for each, which says in its header ``streamtype`` what it is.

Source: ``pkg/cri/streaming/remotecommand/httpstream.go`` of the kubelet. Protocols are offered in
``X-Stream-Protocol-Version``; from v3 on a terminal has a stream for its size, in v4 the error stream carries a Status.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Sequence

from aiohttp import web

from picluster.api.types import Object
from picluster.util.upgrade import Switched, take_over
from picluster_agent.endpoint.channels import session
from picluster_agent.endpoint.channels.link import RawLink
from picluster_agent.endpoint.channels.session import OPEN_TIMEOUT_S, STDERR, STDOUT, Run, Session, Wanted
from picluster_agent.endpoint.channels.spdy import Connection, Stream

UPGRADE = "SPDY/3.1"
PROTOCOL_HEADER = "X-Stream-Protocol-Version"
ACCEPTED_HEADER = "X-Accepted-Stream-Protocol-Versions"
V1, V2, V3, V4 = "channel.k8s.io", "v2.channel.k8s.io", "v3.channel.k8s.io", "v4.channel.k8s.io"
PROTOCOLS = (V4, V3, V2, V1)


def is_spdy(request: web.BaseRequest) -> bool:
    return request.headers.get("Upgrade", "").lower() == UPGRADE.lower()


def negotiated(request: web.BaseRequest, accepted: Sequence[str]) -> str:
    """The client's first protocol that is known here; raises 403. A client that offers none gets the oldest."""
    wanted = [word.strip() for line in request.headers.getall(PROTOCOL_HEADER, []) for word in line.split(",")]
    wanted = [word for word in wanted if word]
    if not wanted:
        return accepted[-1]
    found = next((word for word in wanted if word in accepted), None)
    if found is None:
        text = (
            f"unable to upgrade: unable to negotiate protocol: client supports {wanted}, server accepts {[*accepted]}"
        )
        refusal = session.refuse(text)
        refusal.headers.extend((ACCEPTED_HEADER, one) for one in accepted)
        raise refusal
    return found


def upgrade(request: web.BaseRequest, protocol: str) -> RawLink:
    """Switch to SPDY; raises ``ConnectionError``."""
    lines = ("HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", f"Upgrade: {UPGRADE}",
             f"{PROTOCOL_HEADER}: {protocol}", "", "")  # fmt: skip
    return RawLink(*take_over(request, "\r\n".join(lines).encode()))


class SpdySession(Session):
    def __init__(self, wanted: Wanted, protocol: str) -> None:
        super().__init__()
        self._protocol = protocol
        self._streams: dict[str, Stream] = {}
        self._opened = asyncio.Event()
        flags = {"error": True, "stdin": wanted.stdin, "stdout": wanted.stdout,
                 "stderr": wanted.stderr and not wanted.tty, "resize": wanted.tty and protocol in (V3, V4)}  # fmt: skip
        self._expected = {name for name, asked in flags.items() if asked}
        self._feeding: list[asyncio.Task[None]] = []

    def on_stream(self, stream: Stream) -> bool:
        """Take a stream that the request asked for, once."""
        kind = stream.headers.get("streamtype", "")
        if kind not in self._expected or kind in self._streams:
            return False
        self._streams[kind] = stream
        if kind == "stdin":
            self._feeding.append(asyncio.ensure_future(self._feed(stream)))
        elif kind == "resize":
            self._feeding.append(asyncio.ensure_future(self._sizes(stream)))
        if set(self._streams) == self._expected:
            self._opened.set()
        return True

    async def opened(self) -> None:
        """Wait for every stream; raises ``ConnectionError`` when they do not come."""
        waiting = [asyncio.ensure_future(one.wait()) for one in (self._opened, self.gone)]
        try:
            await asyncio.wait(waiting, timeout=OPEN_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
        if not self._opened.is_set():
            raise ConnectionResetError("timed out waiting for client to create streams")

    async def output(self, channel: int, data: bytes) -> None:
        self.active()
        stream = self._streams.get({STDOUT: "stdout", STDERR: "stderr"}[channel])
        if stream is not None:
            await stream.write(data)

    async def finish(self, status: Object) -> None:
        said = json.dumps(status).encode() if self._protocol == V4 else session.error_text(status)
        for kind in ("stdout", "stderr"):
            if kind in self._streams:
                await self._streams[kind].finish()
        with contextlib.suppress(ConnectionError):
            await self._streams["error"].write(said)
        await self._streams["error"].finish()

    async def close(self) -> None:
        for task in self._feeding:
            task.cancel()
        await asyncio.gather(*self._feeding, return_exceptions=True)

    async def _feed(self, stream: Stream) -> None:
        while data := await stream.read():
            self.active()
            await self.input.put(data)
        self.input.end()

    async def _sizes(self, stream: Stream) -> None:
        """Sizes follow one another as JSON documents."""
        while data := await stream.read():
            self.active()
            for document in data.decode(errors="replace").replace("}{", "}\n{").split("\n"):
                self.resize(document.encode())


async def serve(request: web.Request, wanted: Wanted, command: Run) -> web.StreamResponse:
    protocol = negotiated(request, PROTOCOLS)
    one = SpdySession(wanted, protocol)
    connection = Connection(upgrade(request, protocol), one.on_stream)

    async def after_opening(_: Session) -> Object:
        await one.opened()
        return await command(one)

    try:
        await session.run(one, connection.run(), after_opening)
    finally:
        await one.close()
        await connection.close()
    return Switched()
