"""One client connection: whose it is, whether it takes more bytes, and what must end when it is lost.

Whoever is slow is waited for within bounds: for a request's line and headers, and for the next request, as long as a
connection may be idle, for its body a while more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader

from picluster.api import errors
from picluster.apiserver.audit import ids
from picluster.apiserver.authn import ANONYMOUS, User, user_of

BODY_MAX_BYTES = 3 << 20
BODY_TIMEOUT_S = 30.0
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LINE_MAX_BYTES = 64 << 10
IDLE_TIMEOUT_S = 90.0
"""That of kube-apiserver."""

Identify = Callable[[Mapping[str, Any], bytes], User]
"""Who shows a certificate, given as ``getpeercert`` has it and as it is."""


class Peer:
    """The other side: its certificate is read once, after the handshake, and says whose all requests are."""

    def __init__(self, identify: Identify) -> None:
        self.user: User = ANONYMOUS
        self._identify = identify
        self._on_lost: set[Callable[[], None]] = set()
        self._writable: asyncio.Event = asyncio.Event()
        self._writable.set()

    def met(self, transport: asyncio.BaseTransport) -> None:
        """The connection is there."""
        tls = transport.get_extra_info("ssl_object")
        if tls is not None and (certificate := tls.getpeercert()):
            self.user = self._identify(certificate, tls.getpeercert(binary_form=True))

    def lost(self) -> None:
        """The connection is not there any more."""
        self._writable.set()
        for callback in tuple(self._on_lost):
            callback()

    @property
    def is_writable(self) -> bool:
        """Whether the client has taken enough for more, or is gone."""
        return self._writable.is_set()

    async def drained(self) -> None:
        """Wait until it ``is_writable``."""
        await self._writable.wait()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def on_lost(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call ``callback`` when the connection is lost; returns what takes that back."""
        self._on_lost.add(callback)
        return lambda: self._on_lost.discard(callback)


class Connection(Peer, web.RequestHandler):
    """One that aiohttp serves."""

    def __init__(self, manager: HttpServer, identify: Identify, **options: Any) -> None:
        Peer.__init__(self, identify)
        web.RequestHandler.__init__(self, manager, **options)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.met(transport)
        web.RequestHandler.connection_made(self, transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        web.RequestHandler.connection_lost(self, exc)
        self.lost()

    def pause_writing(self) -> None:
        web.RequestHandler.pause_writing(self)
        Peer.pause_writing(self)

    def resume_writing(self) -> None:
        web.RequestHandler.resume_writing(self)
        Peer.resume_writing(self)


class Request(web.BaseRequest):
    called = ""
    """The id by which the audit log knows the request."""

    async def _prepare_hook(self, response: web.StreamResponse) -> None:
        """Say in the answer, of whatever kind it is and whoever begins it, what the request is called."""
        if self.called:
            response.headers[ids.HEADER] = self.called

    async def read(self) -> bytes:
        """The body; raises ``ApiError`` 504 when it does not come, ``HTTPRequestEntityTooLarge`` when it is too big."""
        if self.content.is_eof():
            return await super().read()
        if self.headers.get("Expect", "").lower() == "100-continue" and self.transport is not None:
            self.transport.write(CONTINUE)
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                return await super().read()
        except TimeoutError:
            raise errors.timeout("request did not complete within the allotted timeout") from None


class HttpServer(web.Server):
    """aiohttp's low-level server, with connections of ours and Kubernetes' limits."""

    def __init__(self, handler: Callable[[web.BaseRequest], Any], identify: Identify = user_of) -> None:
        super().__init__(handler, request_factory=self._request)
        self.identify = identify

    def __call__(self) -> Connection:
        return Connection(
            self,
            self.identify,
            loop=asyncio.get_running_loop(),
            access_log=None,
            keepalive_timeout=IDLE_TIMEOUT_S,
            max_line_size=LINE_MAX_BYTES,
            max_field_size=LINE_MAX_BYTES,
        )

    def _request(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: web.RequestHandler,
        writer: AbstractStreamWriter,
        task: asyncio.Task[None],
    ) -> web.BaseRequest:
        loop = asyncio.get_running_loop()
        return Request(message, payload, protocol, writer, task, loop, client_max_size=BODY_MAX_BYTES)


def request_of(request: web.BaseRequest) -> Request:
    assert isinstance(request, Request)
    return request


def peer_of(request: web.BaseRequest) -> Peer:
    peer = request.protocol
    assert isinstance(peer, Peer)
    return peer


def connection_of(request: web.BaseRequest) -> Connection:
    """That of a request that lasts; those are aiohttp's."""
    connection = request.protocol
    assert isinstance(connection, Connection)
    return connection
