"""One connection, asked in every way: in the lane as long as the requests are usual, then served by aiohttp."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from picluster.apiserver.server import ApiServer
from picluster.pki.bundle import Bundle

BOUND_S = 10.0
MAPS = "/api/v1/namespaces/default/configmaps"


class Wire:
    """A connection of the administrator's."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def answer(self) -> tuple[int, dict[str, str], Any]:
        async with asyncio.timeout(BOUND_S):
            status, *lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[:-2]
            headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
            body = await self.reader.readexactly(int(headers["content-length"]))
        return int(status.split()[1]), headers, orjson.loads(body)

    async def ask(self, data: bytes) -> tuple[int, dict[str, str], Any]:
        self.writer.write(data)
        return await self.answer()


@pytest.fixture
async def wire(server: ApiServer, admin: Any, pki: Bundle) -> AsyncIterator[Wire]:
    context = ssl.create_default_context(cafile=str(pki.certificate("ca")))
    context.load_cert_chain(pki.certificate("admin"), pki.key("admin"))
    opened = Wire(*await asyncio.open_connection("127.0.0.1", server.port, ssl=context))
    yield opened
    opened.writer.close()


def get(path: str, more: str = "") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n{more}\r\n".encode()


def post(name: str, more: str = "") -> bytes:
    body = orjson.dumps({"metadata": {"name": name}, "data": {"k": "v"}})
    head = f"POST {MAPS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"{head}{more}\r\n".encode() + body


async def test_requests_follow_each_other(wire: Wire) -> None:
    for name in ("a", "b", "c"):
        code, headers, made = await wire.ask(post(name))
        assert (code, made["metadata"]["name"], headers["content-type"]) == (201, name, "application/json")
        code, headers, found = await wire.ask(get(f"{MAPS}/{name}"))
        assert (code, found) == (200, made)
        assert {"audit-id", "cache-control", "date", "x-kubernetes-pf-flowschema-uid"} <= headers.keys()
    assert (await wire.ask(get(f"{MAPS}/z")))[0] == 404
    assert (await wire.ask(post("a")))[2]["reason"] == "AlreadyExists"


async def test_what_comes_at_once_is_answered_in_order(wire: Wire) -> None:
    """Several requests in one piece, and more while the first are being served."""
    wire.writer.write(post("a") + get(f"{MAPS}/a") + post("b"))
    wire.writer.write(get(f"{MAPS}/b"))
    answers = [await wire.answer() for _ in range(4)]
    assert [(code, found["metadata"]["name"]) for code, _, found in answers] == [
        (201, "a"),
        (200, "a"),
        (201, "b"),
        (200, "b"),
    ]


async def test_a_request_that_comes_while_one_is_served_waits(wire: Wire) -> None:
    for name in ("a", "b", "c", "d"):
        wire.writer.write(post(name))
        await wire.writer.drain()
        await asyncio.sleep(0)
    assert [(await wire.answer())[2]["metadata"]["name"] for _ in range(4)] == ["a", "b", "c", "d"]


async def test_a_request_in_pieces_is_served_and_the_next_one_too(wire: Wire) -> None:
    assert (await wire.ask(get("/api/v1/namespaces/default")))[0] == 200
    data = post("a")
    for piece in (data[:10], data[10:70], data[70:]):
        wire.writer.write(piece)
        await wire.writer.drain()
        await asyncio.sleep(0.02)
    assert (await wire.answer())[0] == 201
    assert (await wire.ask(get(f"{MAPS}/a")))[0] == 200


async def test_lists_and_discovery_are_served_on_the_same_connection(wire: Wire) -> None:
    await wire.ask(post("a"))
    assert len((await wire.ask(get(MAPS)))[2]["items"]) == 1
    assert (await wire.ask(get("/apis")))[2]["kind"] == "APIGroupList"
    assert (await wire.ask(get(f"{MAPS}/a")))[0] == 200


async def test_a_watch_is_served_on_the_same_connection(wire: Wire) -> None:
    _, _, made = await wire.ask(post("a"))
    revision = int(made["metadata"]["resourceVersion"]) - 1
    wire.writer.write(get(f"{MAPS}?watch=true&resourceVersion={revision}"))
    async with asyncio.timeout(BOUND_S):
        said = await wire.reader.readuntil(b'"type":"ADDED"')
    assert said.startswith(b"HTTP/1.1 200 OK")


REFUSED = {
    "two lengths": (post("a", "Content-Length: 3\r\n"), 400),
    "a length and chunks": (post("a", "Transfer-Encoding: chunked\r\n"), 400),
    "a header without colon": (get(f"{MAPS}/a", "nonsense\r\n"), 400),
    "an unknown resource": (get("/api/v1/nonsense/a"), 404),
    "a method that is not offered": (get(f"{MAPS}/a").replace(b"GET", b"OPTIONS"), 405),
}


@pytest.mark.parametrize(("data", "code"), REFUSED.values(), ids=REFUSED.keys())
async def test_what_is_wrong_is_refused(wire: Wire, data: bytes, code: int) -> None:
    await wire.ask(post("b"))
    wire.writer.write(data)
    async with asyncio.timeout(BOUND_S):
        line = await wire.reader.readline()
    assert int(line.split()[1]) == code


async def test_a_connection_that_is_to_end_ends(wire: Wire) -> None:
    await wire.ask(post("a"))
    assert (await wire.ask(get(f"{MAPS}/a", "Connection: close\r\n")))[0] == 200
    assert await asyncio.wait_for(wire.reader.read(), BOUND_S) == b""


async def test_a_body_that_waits_for_a_word_is_served(wire: Wire) -> None:
    head, _, body = post("a", "Expect: 100-continue\r\n").partition(b"\r\n\r\n")
    wire.writer.write(head + b"\r\n\r\n")
    async with asyncio.timeout(BOUND_S):
        assert (await wire.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
    assert (await wire.ask(body))[0] == 201


async def test_a_server_that_stops_ends_the_connection(wire: Wire, server: ApiServer) -> None:
    await wire.ask(post("a"))
    await server.stop()
    assert await asyncio.wait_for(wire.reader.read(), BOUND_S) == b""
