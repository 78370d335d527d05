"""Channels over WebSocket: the first byte of each message is its channel's number.

``channel.k8s.io`` and no protocol at all are the oldest, ``v4.channel.k8s.io`` ends with a Status, in
``v5.channel.k8s.io`` the message ``[255, n]`` says that the peer has closed channel ``n``. In the ``base64`` variants a
message is text: a digit and base64. Source: KEP-4006, ``k8s.io/streaming/pkg/httpstream/wsstream`` and
``pkg/cri/streaming/remotecommand/websocket.go`` of the kubelet.
"""

from __future__ import annotations

import base64
import binascii
import json

from aiohttp import WSMessage, WSMsgType, web

from picluster.api.types import Object
from picluster_agent.endpoint.channels import session
from picluster_agent.endpoint.channels.session import ERROR, RESIZE, STDERR, STDIN, STDOUT, Run, Session, Wanted

V5 = "v5.channel.k8s.io"
V4 = "v4.channel.k8s.io"
PLAIN = "channel.k8s.io"
BASE64 = "base64.channel.k8s.io"
V4_BASE64 = "v4.base64.channel.k8s.io"
PROTOCOLS = (V5, V4, V4_BASE64, PLAIN, BASE64)
TEXT_PROTOCOLS = (BASE64, V4_BASE64)
STATUS_PROTOCOLS = (V5, V4, V4_BASE64)
CLOSE = 255
MESSAGE_BYTES_MAX = 1 << 20


def is_websocket(request: web.BaseRequest) -> bool:
    return request.headers.get("Upgrade", "").lower() == "websocket"


def offered(request: web.BaseRequest) -> list[str]:
    """The protocols that a client offers, in its order."""
    listed = request.headers.get("Sec-WebSocket-Protocol", "").split(",")
    return [word.strip() for word in listed if word.strip()]


async def accept(request: web.Request, protocols: tuple[str, ...]) -> web.WebSocketResponse:
    """The WebSocket with the first of the client's protocols that is among ``protocols``, or with none if it has none.

    No pings are sent: a client that reads slowly does not answer them either.
    """
    wanted = offered(request)
    if wanted and not set(wanted) & set(protocols):
        raise session.refuse(f"requested protocol(s) are not supported: {wanted}; supports {list(protocols)}")
    order = sorted(set(wanted) & set(protocols), key=wanted.index)
    socket = web.WebSocketResponse(protocols=order, max_msg_size=MESSAGE_BYTES_MAX, compress=False)
    await socket.prepare(request)
    return socket


def decode(message: WSMessage, *, text: bool) -> tuple[int, bytes] | None:
    """Channel and data of one message; ``None`` for what is neither."""
    if text:
        if message.type is not WSMsgType.TEXT or not message.data[:1].isdigit():
            return None
        try:
            return int(message.data[0]), base64.b64decode(message.data[1:], validate=True)
        except (binascii.Error, ValueError):
            return None
    if message.type is not WSMsgType.BINARY or not message.data:
        return None
    return message.data[0], message.data[1:]


async def send(socket: web.WebSocketResponse, channel: int, data: bytes, *, text: bool) -> None:
    if text:
        await socket.send_str(f"{channel}{base64.b64encode(data).decode()}")
    else:
        await socket.send_bytes(bytes((channel,)) + data)


class WebSocketSession(Session):
    def __init__(self, socket: web.WebSocketResponse, wanted: Wanted) -> None:
        super().__init__()
        self._socket = socket
        self._wanted = wanted
        self._protocol = socket.ws_protocol or ""
        self._text = self._protocol in TEXT_PROTOCOLS

    async def greet(self) -> None:
        """An empty message to the lowest channel that is written tells the client that all is set up."""
        wanted = self._wanted
        await self._send(STDOUT if wanted.stdout else STDERR if wanted.stderr else ERROR, b"")

    async def read(self) -> None:
        async for message in self._socket:
            self.active()
            if (decoded := decode(message, text=self._text)) is None:
                continue
            channel, data = decoded
            if channel == STDIN and self._wanted.stdin:
                await self.input.put(data)
            elif channel == RESIZE:
                self.resize(data)
            elif channel == CLOSE and self._protocol == V5 and data[:1] == bytes((STDIN,)):
                self.input.end()

    async def output(self, channel: int, data: bytes) -> None:
        self.active()
        await self._send(channel, data)

    async def finish(self, status: Object) -> None:
        said = json.dumps(status).encode() if self._protocol in STATUS_PROTOCOLS else session.error_text(status)
        if said:
            await self._send(ERROR, said)
        await self._socket.close()

    async def _send(self, channel: int, data: bytes) -> None:
        await send(self._socket, channel, data, text=self._text)


async def serve(request: web.Request, wanted: Wanted, command: Run) -> web.StreamResponse:
    socket = await accept(request, PROTOCOLS)
    one = WebSocketSession(socket, wanted)
    try:
        await one.greet()
        await session.run(one, one.read(), command)
    except ConnectionError:
        pass  # gone before it began
    finally:
        await socket.close()
    return socket
