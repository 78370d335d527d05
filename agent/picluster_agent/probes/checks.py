"""Asking a container whether it is well: by HTTP, TCP, gRPC or a command in it.

A check ends within its timeout and never raises: whatever goes wrong is a failure with a message, worded as the
kubelet's.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

from picluster.api.types import Object
from picluster_agent.podman import execution
from picluster_agent.podman.client import Podman, PodmanError, PodmanUnavailable
from picluster_agent.probes import grpc
from picluster_agent.probes.state import USER_AGENT, Result

REDIRECTS_MAX = 10
HEAD_BYTES_MAX = 64 * 1024


class Subject(NamedTuple):
    """Who is asked: a running container, and the address of its pod."""

    container_id: str
    container: Object
    pod_ip: str


async def check(podman: Podman, subject: Subject, handler: Object, timeout_s: float) -> Result:
    """Ask once. ``handler`` is a Probe or LifecycleHandler: exactly one way of asking is set in it."""
    try:
        if command := handler.get("exec"):
            return await _exec(podman, subject.container_id, command.get("command") or (), timeout_s)
        if http := handler.get("httpGet"):
            return await _http(http, subject, timeout_s)
        if tcp := handler.get("tcpSocket"):
            return await _tcp(tcp.get("host") or subject.pod_ip, port_of(tcp["port"], subject.container), timeout_s)
        if call := handler.get("grpc"):
            return await grpc.check(subject.pod_ip, int(call["port"]), call.get("service") or "", timeout_s)
    except ValueError as error:
        return Result(False, str(error))
    return Result(False, "missing probe handler")


def port_of(port: int | str, container: Object) -> int:
    """A port number, or that of the container's port of this name; raises ``ValueError``."""
    if isinstance(port, int):
        return port
    for one in container.get("ports") or ():
        if one.get("name") == port:
            return int(one["containerPort"])
    if port.isdigit():
        return int(port)
    raise ValueError(f'couldn\'t find port: "{port}" in container {container["name"]}')


async def _exec(podman: Podman, container_id: str, command: Sequence[str], timeout_s: float) -> Result:
    try:
        finished = await execution.run(podman, container_id, command, timeout_s)
    except TimeoutError:
        return Result(False, f"command timed out: {' '.join(command)!r} timed out after {timeout_s:g}s")
    except (PodmanError, PodmanUnavailable, OSError) as error:
        return Result(False, str(error))
    return Result(finished.exit_code == 0, finished.output)


async def _tcp(host: str, port: int, timeout_s: float) -> Result:
    try:
        async with asyncio.timeout(timeout_s):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return Result(False, f"dial tcp {host}:{port}: i/o timeout")
    except OSError as error:
        return Result(False, dial_error(host, port, error))
    writer.close()
    return Result(True)


def dial_error(host: str, port: int, error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return f"dial tcp {host}:{port}: connect: connection refused"
    return f"dial tcp {host}:{port}: connect: {(error.strerror or str(error)).lower()}"


async def _http(http: Object, subject: Subject, timeout_s: float) -> Result:
    scheme = str(http.get("scheme") or "HTTP").lower()
    host = http.get("host") or subject.pod_ip
    port = port_of(http["port"], subject.container)
    path = str(http.get("path") or "/")
    url = f"{scheme}://{host}:{port}{path if path.startswith('/') else '/' + path}"
    headers = {one["name"]: str(one["value"]) for one in http.get("httpHeaders") or ()}
    first = url
    try:
        async with asyncio.timeout(timeout_s):
            for _ in range(REDIRECTS_MAX):
                status, location = await _get(url, headers)
                target = urljoin(url, location) if location else ""
                if not 300 <= status < 400 or urlsplit(target).hostname != urlsplit(url).hostname:
                    break
                url = target
            else:
                return Result(False, f'Get "{first}": stopped after {REDIRECTS_MAX} redirects')
    except TimeoutError:
        return Result(False, f'Get "{url}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)')
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return Result(False, f'Get "{url}": EOF')
    except OSError as error:
        return Result(False, f'Get "{url}": {dial_error(host, port, error)}')
    if 200 <= status < 400:
        return Result(True)
    return Result(False, f"HTTP probe failed with statuscode: {status}")


async def _get(url: str, headers: dict[str, str]) -> tuple[int, str]:
    """Status code and ``Location`` of one GET on a connection of its own."""
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    context = _unverified() if secure else None
    reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=context, limit=HEAD_BYTES_MAX)
    lower = {name.lower() for name in headers}
    defaults = {"Host": parts.netloc, "User-Agent": USER_AGENT, "Accept": "*/*"}
    sent = {**{key: value for key, value in defaults.items() if key.lower() not in lower}, **headers}
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = [
        f"GET {target} HTTP/1.1",
        *(f"{key}: {value}" for key, value in sent.items() if value),
        "Connection: close",
    ]
    try:
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        await writer.drain()
        status_line = await reader.readuntil(b"\n")
        words = status_line.split()
        if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
            raise ValueError(
                f'Get "{url}": malformed HTTP response {status_line[:64].decode(errors="replace").strip()!r}'
            )
        status = int(words[1])
        return status, await _location(reader) if 300 <= status < 400 else ""
    finally:
        writer.close()


async def _location(reader: asyncio.StreamReader) -> str:
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.decode("latin-1").split("\r\n"):
        name, _, value = line.partition(":")
        if name.lower() == "location":
            return value.strip()
    return ""


def _unverified() -> ssl.SSLContext:
    """HTTPS probes do not check certificates (as documented for Kubernetes)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
