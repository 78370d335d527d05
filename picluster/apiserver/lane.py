"""The way of most requests: whole when they arrive, about one object, answered whole.

aiohttp's server is made for everything that HTTP can be: bodies that stream, upgrades, pipelines, chunks. Nearly all
that a cluster asks of its API server is none of it: a few hundred bytes that come in one piece, and one answer that
leaves in one piece, one after the other on a connection that stays. A connection begins in the lane, which knows only
that, and is strict: what is not exactly so (a watch, a list, part of a request, a header that frames the body in
another way or is there twice) is handed to aiohttp as it came, and the connection with it for good. So there is one
reading of whatever is unusual, and it is aiohttp's. Who serves is the same for both: ``Handler``.
"""

from __future__ import annotations

import asyncio
import logging
import re
import socket
from collections.abc import Coroutine, Generator
from functools import cached_property, lru_cache
from http import HTTPStatus
from time import gmtime, strftime
from typing import Any, NamedTuple, Protocol, cast

from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from picluster.apiserver import connection
from picluster.apiserver.audit import ids
from picluster.apiserver.connection import HttpServer, Peer, Request
from picluster.apiserver.frontproxy import FRONT_PROXY
from picluster.apiserver.requestinfo import RequestInfo

log = logging.getLogger(__name__)

UNREAD_MAX_BYTES = 64 << 10
"""What a client may send ahead while its request is being served."""
STOP_POLL_S = 0.01
HEADERS_MAX_BYTES = 4 << 10
_END = b"\r\n\r\n"
_REQUEST_LINE = re.compile(rb"(GET|POST|PUT|PATCH|DELETE) (/apis?/[!-~]+) HTTP/1\.1")
_HEADER = re.compile(rb"([A-Za-z0-9-]+): ?([!-~](?:[ -~]*[!-~])?)?")
_OTHERWISE = re.compile("connection|expect|te|trailer|transfer-encoding|upgrade|impersonate-.*")
"""Headers that make more of a request than a head and a body, or may be there more than once."""

Answering = Coroutine[Any, Any, web.StreamResponse]


class Serving(Protocol):
    """What serves requests: ``http.Handler``."""

    def whole(self, method: str, raw_path: str) -> RequestInfo | None:
        """What a request line asks for, if it may be served here; ``None`` leaves it to aiohttp."""
        ...

    def __call__(self, request: web.BaseRequest, info: RequestInfo) -> Answering: ...


class Whole(NamedTuple):
    """A request."""

    method: str
    raw_path: str
    headers: CIMultiDictProxy[str]
    body: bytes


class Head(NamedTuple):
    headers: CIMultiDictProxy[str]
    length: int


class WholeRequest(Request):
    """A request that is there to its last byte, with as much of aiohttp's as handlers look at."""

    def __init__(self, whole: Whole, lane: Lane) -> None:  # does without aiohttp's, which is about what is to come
        self._cache = {}
        self._method, self._raw_path, self._headers, self._body = whole
        self._lane = lane

    @property
    def method(self) -> str:
        return self._method

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        return self._headers

    @property
    def protocol(self) -> Any:
        return self._lane

    @property
    def raw_path(self) -> str:
        return self._raw_path

    @property
    def raw_headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """None of those that are looked for among the raw ones are here."""
        return ()

    @property
    def remote(self) -> str | None:
        return self._lane.address

    async def read(self) -> bytes:
        return self._body

    @cached_property
    def _rel_url(self) -> URL:  # type: ignore[override]
        return URL(self._raw_path, encoded=True)


class Lane(Peer, asyncio.Protocol):
    """One connection, until it is over or becomes aiohttp's."""

    def __init__(self, lanes: Lanes) -> None:
        super().__init__(lanes.http.identify)
        self._lanes = lanes
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._unread = b""
        self._task: asyncio.Task[None] | None = None
        self._last_s = self._loop.time()
        self._timer = self._loop.call_later(connection.IDLE_TIMEOUT_S, self._check_idle)
        self.address: str | None = None

    @property
    def busy(self) -> bool:
        return self._task is not None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are not registered as such
        self.met(transport)
        peer = transport.get_extra_info("peername")
        self.address = peer[0] if isinstance(peer, tuple) else None
        if (connected := transport.get_extra_info("socket")) is not None:
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._lanes.open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        self._transport = None
        self._lanes.open.discard(self)
        self.lost()

    def data_received(self, data: bytes) -> None:
        if self._task is not None or self._unread or not self.is_writable:
            self._unread += data
            if len(self._unread) > UNREAD_MAX_BYTES and self._transport is not None:
                self._transport.pause_reading()
            return
        self._take(data)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._go_on()

    def close(self) -> None:
        """End it once nothing is under way."""
        if self._transport is not None and self._task is None:
            self._transport.close()

    def abort(self) -> None:
        if self._task is not None:
            self._task.cancel()
        if self._transport is not None:
            self._transport.abort()

    def _take(self, data: bytes) -> None:
        """Serve the request that ``data`` is, or leave the connection to aiohttp."""
        whole = parse(data) if self.user is not FRONT_PROXY else None
        info = self._lanes.serving.whole(whole.method, whole.raw_path) if whole is not None else None
        if whole is None or info is None:
            self._hand_over(data)
            return
        request = WholeRequest(whole, self)
        answering = self._lanes.serving(request, info)
        if _is_plain(info):
            begun = _begin(answering)
            if begun.pending is None:
                self._answer(request, begun.response)
                return
            answering = _rest(answering, begun.pending)
        self._task = self._loop.create_task(self._serve(request, answering))

    async def _serve(self, request: WholeRequest, answering: Answering) -> None:
        response: web.StreamResponse | None = None
        try:
            response = await answering
        except Exception as error:
            _failed(error)
        finally:
            self._task = None
        self._answer(request, response)
        if self._unread:
            self._loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        """Take what came meanwhile."""
        if self._unread and self._task is None and self.is_writable and self._transport is not None:
            data, self._unread = self._unread, b""
            self._transport.resume_reading()
            self._take(data)

    def _answer(self, request: WholeRequest, response: web.StreamResponse | None) -> None:
        """Send ``response``; without one, end the connection."""
        self._last_s = self._loop.time()
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if isinstance(response, web.Response):
            body = bytes(response.body or b"")  # type: ignore[arg-type]
            if request.called:
                response.headers[ids.HEADER] = request.called
            try:
                transport.write(_head_of(response, len(body), self._last_s) + body)
            except ValueError as error:
                _failed(error)
                response = None
        if response is None or self._lanes.stopping:
            transport.close()

    def _hand_over(self, data: bytes) -> None:
        transport = self._transport
        assert transport is not None
        self._timer.cancel()
        self._transport = None
        self._lanes.open.discard(self)
        successor = self._lanes.http()
        transport.set_protocol(successor)
        successor.connection_made(transport)
        successor.data_received(data)

    def _check_idle(self) -> None:
        left_s = self._last_s + connection.IDLE_TIMEOUT_S - self._loop.time()
        if self._task is None and left_s <= 0 and self._transport is not None:
            if self.is_writable:
                self._transport.close()
            else:  # an answer that nobody takes would keep it open
                self._transport.abort()
            return
        self._timer = self._loop.call_later(max(left_s, 0.1), self._check_idle)


class Lanes:
    """The listener's protocol factory: every connection begins in a lane."""

    def __init__(self, http: HttpServer, serving: Serving) -> None:
        self.http = http
        self.serving = serving
        self.open: set[Lane] = set()
        self.stopping = False

    def __call__(self) -> Lane:
        return Lane(self)

    async def shutdown(self, timeout_s: float) -> None:
        """Take no more requests, wait for those that are being served, and end all connections."""
        self.stopping = True
        for lane in tuple(self.open):
            lane.close()
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + timeout_s
        while any(lane.busy for lane in self.open) and loop.time() < deadline_s:  # noqa: ASYNC110 - the last few
            await asyncio.sleep(STOP_POLL_S)
        for lane in tuple(self.open):
            lane.abort()


def parse(data: bytes) -> Whole | None:
    """The request that ``data`` is; ``None`` unless it is exactly one, and a usual one."""
    begin, end = data.find(b"\r\n"), data.find(_END)
    if end < 0 or end - begin > HEADERS_MAX_BYTES:
        return None
    line = _REQUEST_LINE.fullmatch(data, 0, begin)
    head = _head(data[begin + 2 : end + 2]) if line is not None else None
    if line is None or head is None or end + len(_END) + head.length != len(data):
        return None
    return Whole(line[1].decode(), line[2].decode(), head.headers, data[end + len(_END) :])


@lru_cache(maxsize=256)
def _head(block: bytes) -> Head | None:
    """The headers of a request, each line ended; ``None`` for what is not for the lane. Clients repeat themselves."""
    headers: CIMultiDict[str] = CIMultiDict()
    for line in block.split(b"\r\n")[:-1]:
        match = _HEADER.fullmatch(line)
        if match is None:
            return None
        name, value = match[1].decode(), (match[2] or b"").decode()
        if name in headers or _OTHERWISE.fullmatch(name.lower()):
            return None
        headers[name] = value
    length = headers.get("Content-Length", "0")
    if not (length.isascii() and length.isdecimal() and len(length) <= 9) or "Host" not in headers:
        return None
    return Head(CIMultiDictProxy(headers), int(length))


def _head_of(response: web.Response, length: int, now_s: float) -> bytes:
    lines = [_status_line(response.status)]
    for name, value in response.headers.items():
        if "\n" in value or "\r" in value:
            raise ValueError(f"the header {name} is more than a line")
        lines.append(f"{name}: {value}\r\n")
    lines.append(f"Content-Length: {length}\r\n{_date(int(now_s))}\r\n")
    return "".join(lines).encode()


@lru_cache(maxsize=64)
def _status_line(code: int) -> str:
    """A webhook may refuse with a code that has no name."""
    phrase = HTTPStatus(code).phrase if code in HTTPStatus._value2member_map_ else ""
    return f"HTTP/1.1 {code} {phrase}\r\n"


@lru_cache(maxsize=1)
def _date(second: int) -> str:
    """The ``Date`` line; made once for each ``second`` of whatever clock."""
    return strftime("Date: %a, %d %b %Y %H:%M:%S GMT\r\n", gmtime())


class Begun(NamedTuple):
    """How far a coroutine came by itself: to its end (no response: it failed), or to ``pending``, what it waits for."""

    response: web.StreamResponse | None
    pending: Any


def _begin(answering: Answering) -> Begun:
    try:
        return Begun(None, answering.send(None))
    except StopIteration as done:
        return Begun(done.value, None)
    except Exception as error:
        _failed(error)
        return Begun(None, None)


def _is_plain(info: RequestInfo) -> bool:
    """A request that hardly ever waits, and until then does nothing that has to be done in a task."""
    resource = info.target.resource
    return info.verb == "get" and not info.query and resource is not None and bool(resource.schema)


def _failed(error: Exception) -> None:
    if not isinstance(error, ConnectionError):  # the client has gone
        log.error("a request failed", exc_info=error)


async def _rest(answering: Answering, pending: Any) -> web.StreamResponse:
    """What is left of a coroutine that has been begun outside a task."""
    return await _Begun(answering, pending)


class _Begun:
    def __init__(self, answering: Answering, pending: Any) -> None:
        self._answering = answering
        self._pending = pending

    def __await__(self) -> Generator[Any, Any, web.StreamResponse]:
        pending = self._pending
        try:
            while True:
                try:
                    yield pending
                except BaseException as error:  # the task is cancelled
                    pending = self._answering.throw(error)
                else:
                    pending = self._answering.send(None)
        except StopIteration as done:
            return cast(web.StreamResponse, done.value)
