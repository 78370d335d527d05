"""HTTP probes: one GET on a connection of its own, as the kubelet sends it (``pkg/probe/http``), without a library.

Redirects are followed on the host that was asked; one that leads elsewhere counts as success with a warning. Headers
may repeat, ``Host`` is sent as it is given, certificates are not checked. Failures are worded as Go's HTTP client does.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

from picluster.api.types import Object
from picluster_agent.probes.state import USER_AGENT, Result, dial_error, join, quoted

REDIRECTS = (301, 302, 303, 307, 308)
REDIRECTS_MAX = 10
INTERIM_MAX = 5
HEAD_BYTES_MAX = 64 * 1024
BODY_BYTES_MAX = 10 * 1024

Headers = Sequence[tuple[str, str]]


class _Answer(NamedTuple):
    status: int
    location: str
    body: str
    whole: bool
    """Whether the body came to its end, or to as much as is read of it."""


async def check(http: Object, host: str, port: int, timeout_s: float) -> Result:
    scheme = str(http.get("scheme") or "HTTP").lower()
    path = str(http.get("path") or "/")
    first = url = f"{scheme}://{join(host, port)}{path if path.startswith('/') else '/' + path}"
    headers = _headers(http)
    deadline_s = asyncio.get_running_loop().time() + timeout_s
    try:
        for _ in range(REDIRECTS_MAX):
            answer = await _get(url, headers, deadline_s)
            target = urljoin(url, answer.location)
            leads_on = answer.status in REDIRECTS and answer.location
            if not leads_on or urlsplit(target).hostname != urlsplit(first).hostname:
                return _judge(answer)
            if urlsplit(answer.location).netloc:
                headers = [one for one in headers if one[0].lower() != "host"]
            url = target
        return Result(False, f'Get "{url}": stopped after {REDIRECTS_MAX} redirects')
    except TimeoutError:
        return Result(False, f'Get "{url}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)')
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return Result(False, f'Get "{url}": EOF')
    except ssl.SSLError as error:
        return Result(False, f'Get "{url}": {_tls_error(error)}')
    except ConnectionResetError:
        return Result(False, f'Get "{url}": read: connection reset by peer')
    except OSError as error:
        return Result(False, f'Get "{url}": {dial_error(host, port, error)}')
    except ValueError as error:
        return Result(False, f'Get "{url}": {error}')


def _judge(answer: _Answer) -> Result:
    if not answer.whole:
        message = "context deadline exceeded (Client.Timeout or context cancellation while reading body)"
        return Result(False, message, known=False)
    if 200 <= answer.status < 300:
        return Result(True)
    if 300 <= answer.status < 400:
        return Result(True, f"Probe terminated redirects, Response body: {answer.body}")
    return Result(False, f"HTTP probe failed with statuscode: {answer.status}")


def _headers(http: Object) -> list[tuple[str, str]]:
    """What the probe says, and what it does not say otherwise; an empty User-Agent or Accept is none."""
    own = [(str(one["name"]), str(one.get("value") or "")) for one in http.get("httpHeaders") or ()]
    said = {name.lower() for name, _ in own}
    usual = [("User-Agent", USER_AGENT), ("Accept", "*/*")]
    optional = {"host", "user-agent", "accept"}
    kept = [one for one in own if one[1] or one[0].lower() not in optional]
    return [*kept, *(one for one in usual if one[0].lower() not in said)]


async def _get(url: str, headers: Headers, deadline_s: float) -> _Answer:
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    async with asyncio.timeout_at(deadline_s):
        reader, writer = await asyncio.open_connection(
            parts.hostname,
            parts.port or (443 if secure else 80),
            ssl=_unverified() if secure else None,
            limit=HEAD_BYTES_MAX,
        )
    try:
        async with asyncio.timeout_at(deadline_s):
            writer.write(_request(parts.netloc, parts.path, parts.query, headers))
            status, answered = await _head(reader)
        try:
            async with asyncio.timeout_at(deadline_s):
                body, whole = await _body(reader, status, answered), True
        except (TimeoutError, asyncio.IncompleteReadError, ConnectionError, ValueError):
            body, whole = b"", False
        return _Answer(status, answered.get("location", ""), body.decode(errors="replace"), whole)
    finally:
        writer.transport.abort() if secure else writer.close()


def _request(netloc: str, path: str, query: str, headers: Headers) -> bytes:
    host = next((value for name, value in headers if name.lower() == "host"), netloc)
    lines = [
        f"GET {path or '/'}{'?' + query if query else ''} HTTP/1.1",
        f"Host: {host}",
        *(f"{name}: {value}" for name, value in headers if name.lower() != "host"),
        "Connection: close",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def _head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    """Status code and headers of the first answer that is not an interim one."""
    for _ in range(INTERIM_MAX):
        line = await reader.readuntil(b"\n")
        words = line.split()
        if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
            shown = quoted(line[:64].decode(errors="replace").strip())
            raise ValueError(f"net/http: HTTP/1.x transport connection broken: malformed HTTP response {shown}")
        headers: dict[str, str] = {}
        while (line := await reader.readuntil(b"\n")).strip():
            name, _, value = line.decode("latin-1").partition(":")
            headers.setdefault(name.strip().lower(), value.strip())
        if int(words[1]) >= 200:
            return int(words[1]), headers
    raise ValueError("net/http: too many 1xx informational responses")


async def _body(reader: asyncio.StreamReader, status: int, headers: dict[str, str]) -> bytes:
    if status in (204, 304):
        return b""
    if "chunked" in headers.get("transfer-encoding", "").lower():
        return await _chunks(reader)
    if (length := headers.get("content-length", "")).isdigit():
        return await reader.readexactly(min(int(length), BODY_BYTES_MAX))
    body = b""
    while len(body) < BODY_BYTES_MAX and (data := await reader.read(BODY_BYTES_MAX - len(body))):
        body += data
    return body


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int((await reader.readuntil(b"\n")).split(b";")[0], 16):
        body += await reader.readexactly(min(size, BODY_BYTES_MAX - len(body)))
        if len(body) >= BODY_BYTES_MAX:
            break
        await reader.readuntil(b"\n")
    return body


def _tls_error(error: ssl.SSLError) -> str:
    if error.reason == "WRONG_VERSION_NUMBER":
        return "http: server gave HTTP response to HTTPS client"
    return f"tls: {(error.reason or str(error)).replace('_', ' ').lower()}"


@lru_cache(1)
def _unverified() -> ssl.SSLContext:
    """HTTPS probes do not check certificates (as documented for Kubernetes); one context serves them all."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
