"""Probes against real servers on the loopback: what succeeds, what fails and in which words, and when it is asked."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import hpack
import pytest

from picluster.util.clock import SYSTEM_CLOCK
from picluster_agent.podman.client import Podman
from picluster_agent.probes.checks import Subject, check
from picluster_agent.probes.prober import Prober, Target
from picluster_agent.probes.state import Kind, Result

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Serve = Callable[[Answer], Awaitable[int]]
PODMAN = Podman(Path("/nonexistent/podman.sock"), Path("/nonexistent"))


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """``await serve(answer)``: a TCP server on the loopback that treats each connection so; its port."""
    servers: list[asyncio.Server] = []

    async def start(answer: Answer) -> int:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await answer(reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError):
                pass
            finally:
                writer.close()

        servers.append(await asyncio.start_server(handle, "127.0.0.1", 0))
        return int(servers[-1].sockets[0].getsockname()[1])

    yield start
    for server in servers:
        server.close()
        await server.wait_closed()


def http(*answers: str) -> Answer:
    """Each connection gets the next answer; the last one again and again."""
    left = list(answers)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        text = left.pop(0) if len(left) > 1 else left[0]
        writer.write(text.encode())
        await writer.drain()

    return answer


async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        await reader.read()
    finally:
        writer.close()


async def ask(handler: dict[str, Any], timeout_s: float = 1.0, **container: Any) -> Result:
    return await check(PODMAN, Subject("id", {"name": "web", **container}, "127.0.0.1"), handler, timeout_s)


def unused_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    ("answer", "success", "message"),
    [
        ("HTTP/1.1 200 OK\r\n\r\n", True, ""),
        ("HTTP/1.0 204 No Content\r\n\r\n", True, ""),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", True, ""),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", True, ""),
        (
            "HTTP/1.1 302 Found\r\nLocation: http://elsewhere.example/\r\nTransfer-Encoding: chunked\r\n\r\n"
            "4\r\ngone\r\n3\r\n on\r\n0\r\n\r\n",
            True,
            "Probe terminated redirects, Response body: gone on",
        ),
        ("HTTP/1.1 300 Many\r\nContent-Length: 1\r\n\r\nx", True, "Probe terminated redirects, Response body: x"),
        ("HTTP/1.1 302 Found\r\n\r\n", True, "Probe terminated redirects, Response body: "),
        ("HTTP/1.1 404 Not Found\r\n\r\n", False, "HTTP probe failed with statuscode: 404"),
        ("HTTP/1.1 500 Oh\r\n\r\n", False, "HTTP probe failed with statuscode: 500"),
        ("", False, 'Get "{url}": EOF'),
        (
            "SSH-2.0-x\r\n",
            False,
            'Get "{url}": net/http: HTTP/1.x transport connection broken: malformed HTTP response "SSH-2.0-x"',
        ),
    ],
)
async def test_http_answers(serve: Serve, answer: str, success: bool, message: str) -> None:
    port = await serve(http(answer))
    url = f"http://127.0.0.1:{port}/healthz"
    assert await ask({"httpGet": {"port": port, "path": "/healthz"}}) == Result(success, message.format(url=url))


async def test_http_follows_redirects_on_its_host(serve: Serve) -> None:
    port = await serve(http("HTTP/1.1 301 Moved\r\nLocation: /other\r\n\r\n", "HTTP/1.1 503 No\r\n\r\n"))
    assert await ask({"httpGet": {"port": port}}) == Result(False, "HTTP probe failed with statuscode: 503")
    port = await serve(http("HTTP/1.1 301 Moved\r\nLocation: /again\r\n\r\n"))
    assert "stopped after 10 redirects" in (await ask({"httpGet": {"port": port}})).message


async def test_http_says_who_asks_and_what_it_was_told_to_say(serve: Serve) -> None:
    heard: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")

    port = await serve(answer)
    headers = [
        {"name": name, "value": value}
        for name, value in (("Host", "shop.example"), ("X-A", "1"), ("X-A", "2"), ("X-B", ""), ("accept", ""))
    ]
    assert (
        await ask(
            {"httpGet": {"port": "web", "path": "a?b=c", "httpHeaders": headers}},
            ports=[{"name": "web", "containerPort": port}],
        )
    ).success
    lines = heard[0].split("\r\n")
    assert lines[0] == "GET /a?b=c HTTP/1.1"
    assert {"User-Agent: kube-probe/1.36", "Host: shop.example", "X-A: 1", "X-A: 2", "X-B: "} <= set(lines)
    assert "Connection: close" in lines and not any(line.lower().startswith("accept") for line in lines)
    assert sum(line.startswith("Host:") for line in lines) == 1


async def test_nobody_there_and_nobody_answering(serve: Serve) -> None:
    port, quiet = unused_port(), await serve(silence)
    refused = f"dial tcp 127.0.0.1:{port}: connect: connection refused"
    assert await ask({"tcpSocket": {"port": port}}) == Result(False, refused)
    assert await ask({"httpGet": {"port": port}}) == Result(False, f'Get "http://127.0.0.1:{port}/": {refused}')
    assert await ask({"tcpSocket": {"port": quiet}}) == Result(True)
    late = await ask({"httpGet": {"port": quiet}}, timeout_s=0.05)
    assert late.message.endswith("context deadline exceeded (Client.Timeout exceeded while awaiting headers)")
    assert not (await ask({"grpc": {"port": port}})).success
    unknown = Result(False, 'strconv.Atoi: parsing "none": invalid syntax', known=False)
    assert await ask({"tcpSocket": {"port": "none"}}) == unknown
    assert await ask({"tcpSocket": {"port": "70000"}}) == Result(False, "invalid port number: 70000", known=False)
    assert not (await ask({})).known


async def test_a_body_that_never_ends_is_no_answer(serve: Serve) -> None:
    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nx")
        await reader.read()

    result = await ask({"httpGet": {"port": await serve(stall)}}, timeout_s=0.1)
    assert not result.known and result.message.endswith("while reading body)")


async def test_https_to_a_server_without_tls(serve: Serve) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    port = await serve(refuse)
    result = await ask({"httpGet": {"port": port, "scheme": "HTTPS"}})
    assert result.message == f'Get "https://127.0.0.1:{port}/": http: server gave HTTP response to HTTPS client'


async def test_a_command_without_podman_is_a_failure() -> None:
    async with Podman(Path("/nonexistent/podman.sock"), Path("/nonexistent")) as podman:
        result = await check(podman, Subject("id", {"name": "web"}, ""), {"exec": {"command": ["true"]}}, 1.0)
    assert not result.success and not result.known
    assert "podman does not answer" in result.message


def frame(kind: int, flags: int, stream: int, body: bytes) -> bytes:
    return struct.pack(">I", len(body))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + body


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b"\x08\x01", Result(True)),
        (b"\x08\x02", Result(False, 'service unhealthy (responded with "NOT_SERVING")')),
        (b"", Result(False, 'service unhealthy (responded with "UNKNOWN")')),
        (
            None,
            Result(
                False,
                "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): "
                "unknown service grpc.health.v1.Health",
            ),
        ),
    ],
)
async def test_grpc(serve: Serve, message: bytes | None, expected: Result) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readexactly(24) == b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        asked = b""
        while not asked.endswith(b"\x00\x00\x00\x00\x06\x0a\x04shop"):
            asked += await reader.read(1)
        writer.write(frame(4, 0, 0, b"") + frame(6, 0, 0, b"pingping") + frame(1, 4, 1, b"\x88"))
        if message is not None:
            body = b"\x00" + struct.pack(">I", len(message)) + message
            writer.write(frame(0, 0, 1, body[:3]) + frame(0, 0, 1, body[3:]))
        trailers = [("grpc-status", "12"), ("grpc-message", "unknown service grpc.health.v1.Health")]
        block = hpack.Encoder().encode(trailers)
        writer.write(frame(1, 1, 1, block[:4]) + frame(9, 4, 1, block[4:]))
        await writer.drain()

    port = await serve(answer)
    assert await ask({"grpc": {"port": port, "service": "shop"}}) == expected


# -- the prober --------------------------------------------------------------------------------------------------------


class Watched:
    """A prober and what it told."""

    def __init__(self) -> None:
        self.prober = Prober(PODMAN, SYSTEM_CLOCK)
        self.changes = 0
        self.failures: list[tuple[str, Kind]] = []
        self.prober.listen(self._changed, lambda uid, name, kind, result: self.failures.append((name, kind)))

    def _changed(self, uid: str) -> None:
        self.changes += 1

    async def until(self, condition: Callable[[], Any], timeout_s: float = 5.0) -> None:
        async with asyncio.timeout(timeout_s):
            while not condition():  # noqa: ASYNC110 - polls what has no event
                await asyncio.sleep(0.005)


@pytest.fixture
async def watched() -> AsyncIterator[Watched]:
    made = Watched()
    yield made
    await made.prober.close()


def target(container_id: str = "c1", *, was_ready: bool = False, **probes: Any) -> Target:
    subject = Subject(container_id, {"name": "web", **probes}, "127.0.0.1")
    return Target("u1", subject, SYSTEM_CLOCK.now(), was_ready=was_ready)


def tcp(port: int, **timing: Any) -> dict[str, Any]:
    return {"tcpSocket": {"port": port}, "periodSeconds": 1, **timing}


async def test_what_starts_to_listen_late_is_ready_at_once_and_counts_no_failure(
    watched: Watched, serve: Serve
) -> None:
    port = unused_port()
    watched.prober.sync("u1", [target(readinessProbe=tcp(port, periodSeconds=30))])
    await asyncio.sleep(0.1)
    assert not watched.prober.ready("c1")
    server = await asyncio.start_server(silence, "127.0.0.1", port)
    try:
        await watched.until(lambda: watched.prober.ready("c1"), 2.0)
        assert (watched.changes, watched.failures) == (1, [])
    finally:
        server.close()


async def test_startup_comes_before_readiness_and_liveness(watched: Watched, serve: Serve) -> None:
    port, late = await serve(silence), unused_port()
    probes = {
        "startupProbe": tcp(late, periodSeconds=0.05, failureThreshold=1000),
        "readinessProbe": tcp(port),
        "livenessProbe": tcp(late, periodSeconds=0.05, failureThreshold=2),
    }
    watched.prober.sync("u1", [target(**probes)])
    await watched.until(lambda: len(watched.failures) > 2)
    assert {kind for _, kind in watched.failures} == {Kind.STARTUP}
    assert not watched.prober.started("c1") and not watched.prober.ready("c1")
    server = await asyncio.start_server(silence, "127.0.0.1", late)
    await watched.until(lambda: watched.prober.started("c1") and watched.prober.ready("c1"))
    server.close()
    await server.wait_closed()
    await watched.until(lambda: watched.prober.unhealthy("u1") == {"c1": "Liveness"})


async def test_a_startup_probe_that_never_succeeds_gives_up(watched: Watched) -> None:
    watched.prober.sync("u1", [target(startupProbe=tcp(unused_port(), periodSeconds=0.02, failureThreshold=3))])
    await watched.until(lambda: watched.prober.unhealthy("u1") == {"c1": "Startup"})
    assert len(watched.failures) == 3


async def test_an_adopted_container_stays_ready_until_it_fails(watched: Watched) -> None:
    probe = tcp(unused_port(), periodSeconds=0.05, failureThreshold=3)
    watched.prober.sync("u1", [target(was_ready=True, readinessProbe=probe)])
    assert watched.prober.ready("c1")
    await watched.until(lambda: not watched.prober.ready("c1"))
    assert len(watched.failures) == 3


async def test_only_what_is_ending_is_left_alone(watched: Watched) -> None:
    probe = {"livenessProbe": tcp(unused_port(), periodSeconds=0.02, failureThreshold=3)}
    targets = [target("c1", **probe), target("c2", **probe)]
    watched.prober.sync("u1", targets, ending=frozenset({"c1"}))
    await watched.until(lambda: "c2" in watched.prober.unhealthy("u1"))
    assert set(watched.prober.unhealthy("u1")) == {"c2"}
    watched.prober.sync("u1", ())
    assert watched.prober.unhealthy("u1") == {}


async def test_what_could_not_be_asked_counts_neither_way(watched: Watched) -> None:
    probe = {"tcpSocket": {"port": "none"}, "periodSeconds": 0.02, "failureThreshold": 1}
    watched.prober.sync("u1", [target(was_ready=True, readinessProbe=probe, livenessProbe=probe)])
    await watched.until(lambda: len(watched.failures) > 4)
    assert watched.prober.ready("c1") and watched.prober.unhealthy("u1") == {}
    assert watched.changes == 0


async def test_a_warning_is_told_and_counts_as_success(watched: Watched, serve: Serve) -> None:
    port = await serve(http("HTTP/1.1 302 Found\r\nLocation: http://elsewhere.example/\r\n\r\n"))
    probe = {"httpGet": {"port": port}, "periodSeconds": 30}
    watched.prober.sync("u1", [target(readinessProbe=probe)])
    await watched.until(lambda: watched.prober.ready("c1"))
    assert watched.failures == [("web", Kind.READINESS)]


async def test_adopted_containers_are_not_all_asked_at_one_time(watched: Watched, serve: Serve) -> None:
    asked: list[float] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(asyncio.get_running_loop().time())
        writer.write(b"")

    port = await serve(answer)
    old = [
        Target("u1", Subject(f"c{number}", {"name": "web", "livenessProbe": tcp(port)}, "127.0.0.1"), 1.0)
        for number in range(30)
    ]
    watched.prober.sync("u1", old)
    await watched.until(lambda: len(asked) == 30)
    assert asked[-1] - asked[0] > 0.3  # of a period of one second
