"""A request passed on to another server, and its answer passed back: bodies as they come, nothing kept.

Used for extension API servers and for the ``proxy`` subresources. A request that asks for an upgrade (WebSocket,
SPDY/3.1) gets a connection of its own, and from the switch on bytes are copied both ways, whatever they mean. A slow
side slows the other down; a side that goes takes the other with it. Source: ``util/proxy/upgradeaware.go`` in
``k8s.io/apimachinery``.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from picluster.apiserver.connection import connection_of
from picluster.util.upgrade import Switched, take_over

CONNECT_TIMEOUT_S = 10.0
HEAD_TIMEOUT_S = 30.0
ANSWER_TIMEOUT_S = 60.0
HEAD_MAX_BYTES = 64 << 10
REFUSAL_MAX_BYTES = 64 << 10
CHUNK_BYTES = 64 << 10
CONNECTIONS_MAX = 1000
HOP_BY_HOP = frozenset(
    ("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
     "transfer-encoding", "upgrade")
)  # fmt: skip
NEVER_PASSED = frozenset({"authorization", "expect", "host"})

Rewrite = Callable[[web.BaseRequest, aiohttp.ClientResponse], "Rewriter | None"]


class Unreachable(Exception):
    """The other server could not be asked; the message is Go's."""


@dataclass(frozen=True, slots=True)
class Onward:
    """Where a request goes. ``context`` is ``None`` for plain HTTP.

    ``server_name`` is what the certificate must be for, when that is not the URL's host; ``headers`` are set over those
    of the request, whose headers that begin with one of ``dropped`` (in lower case) are left out; ``long`` is for what
    may take any time (watches, proxies).
    """

    url: URL
    context: ssl.SSLContext | None
    host: str
    server_name: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    dropped: tuple[str, ...] = ()
    long: bool = True


@dataclass(slots=True)
class Rewriter:
    """What is to become of an answer: its headers now, and its body, if there is a limit, when it is there."""

    headers: Callable[[CIMultiDict[str]], None]
    body: Callable[[bytes], bytes] | None = None
    limit_bytes: int = 0


class Relay:
    """One session for all; nothing is opened before the first request, and nothing is passed on after ``close``."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._switched: set[asyncio.Task[None]] = set()
        self._closed = False

    async def close(self) -> None:
        """End what is under way."""
        self._closed = True
        for task in tuple(self._switched):
            task.cancel()
        await asyncio.gather(*self._switched, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def pass_on(
        self, request: web.BaseRequest, onward: Onward, rewrite: Rewrite | None = None
    ) -> web.StreamResponse:
        """The other server's answer; raises ``Unreachable``, or ``ConnectionError`` when the client has gone."""
        if self._closed:
            raise Unreachable("the server is stopping")
        if is_upgrade(request):
            return await self._upgrade(request, onward)
        async with self._answer(request, onward) as answer:
            off = connection_of(request).on_lost(answer.close)
            try:
                return await _pass_back(request, answer, rewrite(request, answer) if rewrite is not None else None)
            except (aiohttp.ClientError, TimeoutError) as error:
                raise ConnectionResetError(f"the other server's answer broke off: {error}") from None
            finally:
                off()

    async def _upgrade(self, request: web.BaseRequest, onward: Onward) -> web.StreamResponse:
        reader, writer = await _dial(onward)
        try:
            head = await _asked(request, onward, reader, writer)
            code, reason, headers = _parsed(head)
            if code != 101:
                body = await _refusal(reader, headers)
                return web.Response(status=code, reason=reason, headers=_end_to_end(headers.items()), body=body)
            joined = asyncio.ensure_future(_join(request, head, reader, writer))
            self._switched.add(joined)
            try:
                await asyncio.wait([joined])
            finally:
                joined.cancel()
                self._switched.discard(joined)
            return Switched()
        finally:
            writer.close()

    @asynccontextmanager
    async def _answer(self, request: web.BaseRequest, onward: Onward) -> AsyncIterator[aiohttp.ClientResponse]:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=CONNECTIONS_MAX)
            self._session = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
            )
        total_s = None if onward.long else ANSWER_TIMEOUT_S
        asking = self._session.request(
            request.method,
            onward.url,
            headers=_headers(request, onward),
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            data=request.content if request.body_exists else None,
            ssl=onward.context or False,
            server_hostname=onward.server_name,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=total_s, sock_connect=CONNECT_TIMEOUT_S),
        )
        try:
            answer = await asking
        except (aiohttp.ClientError, OSError) as error:
            raise Unreachable(cause(error)) from None
        async with answer:
            yield answer


def is_upgrade(request: web.BaseRequest) -> bool:
    return bool(request.headers.get("Upgrade")) and "upgrade" in request.headers.get("Connection", "").lower()


def cause(error: BaseException) -> str:
    """What went wrong with a call, as Go's ``net`` says it."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        reason = getattr(error.certificate_error, "verify_message", "") or str(error.certificate_error)
        return f"tls: failed to verify certificate: x509: {reason}"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"dial tcp: lookup {error.host}: no such host"
    if isinstance(error, aiohttp.ClientConnectorError):
        why = os.strerror(error.os_error.errno).lower() if error.os_error.errno else str(error.os_error)
        return f"dial tcp {error.host}:{error.port}: connect: {why}"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "EOF"
    if isinstance(error, TimeoutError):
        return "context deadline exceeded"
    return str(error) or type(error).__name__


def _headers(request: web.BaseRequest, onward: Onward, *, upgrade: bool = False) -> CIMultiDict[str]:
    hops = {word.strip().lower() for word in request.headers.get("Connection", "").split(",")} | HOP_BY_HOP
    passed: CIMultiDict[str] = CIMultiDict()
    for name, value in request.headers.items():
        lower = name.lower()
        if lower not in hops and lower not in NEVER_PASSED and not lower.startswith(onward.dropped or "\0"):
            passed.add(name, value)
    passed["Host"] = onward.host
    if request.remote:
        before = passed.get("X-Forwarded-For")
        passed["X-Forwarded-For"] = f"{before}, {request.remote}" if before else request.remote
    for name, value in onward.headers:
        passed.add(name, value)
    if upgrade:
        passed["Connection"], passed["Upgrade"] = "Upgrade", request.headers["Upgrade"]
    return passed


async def _pass_back(
    request: web.BaseRequest, answer: aiohttp.ClientResponse, rewriter: Rewriter | None
) -> web.StreamResponse:
    headers = _end_to_end(answer.headers.items())
    if rewriter is not None:
        rewriter.headers(headers)
        if rewriter.body is not None:
            return await _rewritten(request, answer, headers, rewriter)
    response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=headers)
    await response.prepare(request)
    if request.method != "HEAD":
        async for chunk in answer.content.iter_any():
            await response.write(chunk)
    await response.write_eof()
    return response


async def _rewritten(
    request: web.BaseRequest, answer: aiohttp.ClientResponse, headers: CIMultiDict[str], rewriter: Rewriter
) -> web.StreamResponse:
    """The body whole, changed; one that is larger than its limit goes through as it is."""
    assert rewriter.body is not None
    headers.pop("Content-Length", None)
    response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=headers)
    held, size = [], 0
    async for chunk in answer.content.iter_any():
        held.append(chunk)
        size += len(chunk)
        if size > rewriter.limit_bytes:
            await response.prepare(request)
            await response.write(b"".join(held))
            async for rest in answer.content.iter_any():
                await response.write(rest)
            await response.write_eof()
            return response
    body = rewriter.body(b"".join(held))
    await response.prepare(request)
    await response.write(body)
    await response.write_eof()
    return response


def _end_to_end(headers: Iterable[tuple[str, str]]) -> CIMultiDict[str]:
    passed: CIMultiDict[str] = CIMultiDict()
    for name, value in headers:
        if name.lower() not in HOP_BY_HOP:
            passed.add(name, value)
    return passed


async def _dial(onward: Onward) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = onward.url.host or "", onward.url.port or (443 if onward.context else 80)
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            return await asyncio.open_connection(
                host, port, ssl=onward.context, limit=HEAD_MAX_BYTES,
                server_hostname=(onward.server_name or host) if onward.context else None,
            )  # fmt: skip
    except (OSError, TimeoutError) as error:
        raise Unreachable(_dial_failure(error, host, port)) from None


async def _asked(
    request: web.BaseRequest, onward: Onward, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> bytes:
    """Send the request's head; the head of the answer."""
    lines = [f"{request.method} {onward.url.raw_path_qs} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in _headers(request, onward, upgrade=True).items()]
    if any("\r" in line or "\n" in line for line in lines):
        raise Unreachable("net/http: invalid header field value")
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape"))
    try:
        async with asyncio.timeout(HEAD_TIMEOUT_S):
            return await reader.readuntil(b"\r\n\r\n")
    except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise Unreachable(cause(error)) from None


def _parsed(head: bytes) -> tuple[int, str, CIMultiDict[str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    _, _, status = first.partition(" ")
    code, _, reason = status.partition(" ")
    if not code.isdigit():
        raise Unreachable(f"malformed HTTP response {first!r}")
    headers: CIMultiDict[str] = CIMultiDict()
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            headers.add(name.strip(), value.strip())
    return int(code), reason, headers


async def _refusal(reader: asyncio.StreamReader, headers: CIMultiDict[str]) -> bytes:
    """The body of an answer that is no switch, as far as its length says, bounded."""
    length = headers.pop("Content-Length", "")
    wanted = min(int(length), REFUSAL_MAX_BYTES) if length.isdigit() else 0
    try:
        async with asyncio.timeout(HEAD_TIMEOUT_S):
            return await reader.readexactly(wanted)
    except asyncio.IncompleteReadError as error:
        return error.partial
    except (OSError, TimeoutError):
        return b""


async def _join(
    request: web.BaseRequest, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Give the client the answer's head, and copy both ways until one side ends."""
    from_client, to_client = take_over(request, head)
    tasks = [asyncio.ensure_future(_copy(from_client, writer)), asyncio.ensure_future(_copy(reader, to_client))]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        to_client.close()


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(CHUNK_BYTES):
        sink.write(data)
        await sink.drain()


def _dial_failure(error: BaseException, host: str, port: int) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"tls: failed to verify certificate: x509: {error.verify_message}"
    if isinstance(error, TimeoutError):
        return f"dial tcp {host}:{port}: i/o timeout"
    number = error.errno if isinstance(error, OSError) else None
    return f"dial tcp {host}:{port}: connect: {os.strerror(number).lower() if number else error}"
