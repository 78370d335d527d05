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
LINE_MAX_BYTES = 64 << 10
IDLE_TIMEOUT_S = 90.0
"""That of kube-apiserver."""

Identify = Callable[[Mapping[str, Any], bytes], User]
"""Who shows a certificate, given as ``getpeercert`` has it and as it is."""


class Connection(web.RequestHandler):
    """The peer certificate is read once, after the handshake; every request of the connection has its user."""

    def __init__(self, manager: HttpServer, identify: Identify, **options: Any) -> None:
        super().__init__(manager, **options)
        self.user: User = ANONYMOUS
        self._identify = identify
        self._on_lost: set[Callable[[], None]] = set()
        self._writable: asyncio.Event = asyncio.Event()
        self._writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        tls = transport.get_extra_info("ssl_object")
        if tls is not None and (certificate := tls.getpeercert()):
            self.user = self._identify(certificate, tls.getpeercert(binary_form=True))
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        self._writable.set()
        for callback in tuple(self._on_lost):
            callback()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._writable.clear()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._writable.set()

    async def drained(self) -> None:
        """Wait until the client has taken enough for more, or is gone."""
        await self._writable.wait()

    def on_lost(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call ``callback`` when the connection is lost; returns what takes that back."""
        self._on_lost.add(callback)
        return lambda: self._on_lost.discard(callback)


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
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                return await super().read()
        except TimeoutError:
            raise errors.timeout("request did not complete within the allotted timeout") from None


class HttpServer(web.Server):
    """aiohttp's low-level server, with connections of ours and Kubernetes' limits."""

    def __init__(self, handler: Callable[[web.BaseRequest], Any], identify: Identify = user_of) -> None:
        super().__init__(handler, request_factory=self._request)
        self._identify = identify

    def __call__(self) -> Connection:
        return Connection(
            self,
            self._identify,
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


def connection_of(request: web.BaseRequest) -> Connection:
    connection = request.protocol
    assert isinstance(connection, Connection)
    return connection
