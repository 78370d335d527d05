"""Who sends slowly, or nothing at all, is not waited for without end."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from io import BytesIO
from typing import Any

import pytest

from picluster.apiserver import connection, pieces
from picluster.apiserver.server import ApiServer
from picluster.pki.bundle import Bundle

BOUND_S = 10.0
REQUEST = b"POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
Open = Callable[[bytes], Awaitable[asyncio.StreamReader]]


@pytest.fixture
async def open_with(server: ApiServer, admin: Any, pki: Bundle, stack: Any) -> Open:
    """``await open_with(data)``: a connection of the administrator's that sends ``data`` and then nothing more."""

    async def opened(data: bytes) -> asyncio.StreamReader:
        context = ssl.create_default_context(cafile=str(pki.certificate("ca")))
        context.load_cert_chain(pki.certificate("admin"), pki.key("admin"))
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=context)
        stack.callback(writer.close)
        writer.write(data)
        return reader

    return opened


async def test_a_body_that_does_not_come_is_given_up(open_with: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "BODY_TIMEOUT_S", 0.05)
    reader = await open_with(REQUEST + b'Content-Length: 100\r\n\r\n{"metadata":')
    answer = await asyncio.wait_for(reader.readuntil(b'"code":504'), BOUND_S)
    assert answer.startswith(b"HTTP/1.1 504 ")
    assert b"Timeout: request did not complete within the allotted timeout" in answer


@pytest.mark.parametrize("data", [b"", REQUEST], ids=["nothing", "half a head"])
async def test_who_does_not_ask_is_let_go(
    open_with: Open, data: bytes, monkeypatch: pytest.MonkeyPatch, admin: Any
) -> None:
    monkeypatch.setattr(connection, "IDLE_TIMEOUT_S", 0.05)
    reader = await open_with(data)
    assert await asyncio.wait_for(reader.read(), BOUND_S) == b""


async def test_a_head_without_end_is_refused(open_with: Open) -> None:
    reader = await open_with(b"GET /version HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * (connection.LINE_MAX_BYTES + 1))
    assert (await asyncio.wait_for(reader.readline(), BOUND_S)).split()[1] == b"400"


async def test_a_body_that_is_too_big_is_refused(admin: Any) -> None:
    body = BytesIO(b'{"data":{"x":"%b"}}' % (b"x" * connection.BODY_MAX_BYTES))
    refused = await admin.create("/api/v1/namespaces/default/configmaps", body)
    assert (refused.code, refused.body["reason"]) == (413, "RequestEntityTooLarge")


async def test_who_does_not_take_a_long_answer_is_let_go(
    open_with: Open, admin: Any, server: ApiServer, eventually: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    maps = "/api/v1/namespaces/default/configmaps"
    for number in range(16):
        large = {"metadata": {"name": f"large-{number}"}, "data": {"x": "x" * 1_000_000}}
        assert (await admin.create(maps, large)).code == 201
    monkeypatch.setattr(pieces, "STALLED_S", 0.1)
    reader = await open_with(f"GET {maps} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert (await asyncio.wait_for(reader.readline(), BOUND_S)).split()[1] == b"200"
    connections = server._http.connections  # type: ignore[union-attr]

    async def let_go() -> bool:
        return len(server._http.connections) < len(connections)  # type: ignore[union-attr]

    await eventually(let_go)
    assert len((await admin.get(maps)).body["items"]) == 16
