"""What the lane takes for a request, aiohttp takes for the same; everything else it leaves."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_parser import HttpRequestParser
from hypothesis import given
from hypothesis import strategies as st

from picluster.apiserver import connection
from picluster.apiserver.connection import HttpServer
from picluster.apiserver.lane import Lanes, Whole, parse

GOOD = b"POST /api/v1/pods HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
LEFT = {
    "nothing": b"",
    "half a head": b"GET /api/v1/pods HTTP/1.1\r\nHost: x\r\n",
    "half a body": GOOD[:-1],
    "two requests": GOOD + GOOD,
    "another version": GOOD.replace(b"1.1", b"1.0"),
    "another method": GOOD.replace(b"POST", b"HEAD"),
    "no API": GOOD.replace(b"/api/", b"/xapi/"),
    "no host": GOOD.replace(b"Host: x\r\n", b""),
    "a space in the path": GOOD.replace(b"/pods", b"/po ds"),
    "a path that is no ASCII": GOOD.replace(b"/pods", "/p\u00f6ds".encode()),
    "a doubled header": GOOD.replace(b"Host: x", b"Host: x\r\nhost: y"),
    "two lengths": GOOD.replace(b"Content-Length: 2", b"Content-Length: 2\r\nContent-Length: 2"),
    "a length with a sign": GOOD.replace(b": 2", b": +2"),
    "a length in hexadecimal": GOOD.replace(b": 2", b": 0x2"),
    "chunks": GOOD.replace(b"Content-Length: 2", b"Transfer-Encoding: chunked"),
    "chunks and a length": GOOD.replace(b"Host: x", b"Host: x\r\nTransfer-Encoding: chunked"),
    "a connection that is to end": GOOD.replace(b"Host: x", b"Host: x\r\nConnection: close"),
    "an upgrade": GOOD.replace(b"Host: x", b"Host: x\r\nUpgrade: websocket"),
    "an expectation": GOOD.replace(b"Host: x", b"Host: x\r\nExpect: 100-continue"),
    "somebody else": GOOD.replace(b"Host: x", b"Host: x\r\nImpersonate-User: ann"),
    "a folded header": GOOD.replace(b"Host: x", b"Host: x\r\nA: b\r\n c"),
    "a space before the colon": GOOD.replace(b"Host:", b"Host :"),
    "a bare line feed": GOOD.replace(b"Host: x\r\n", b"Host: x\n"),
    "a control character": GOOD.replace(b"Host: x", b"Host: \0x"),
    "a very long head": GOOD.replace(b"Host: x", b"Host: " + b"x" * 5000),
}


@pytest.mark.parametrize("data", LEFT.values(), ids=LEFT.keys())
def test_what_is_unusual_is_left_to_aiohttp(data: bytes) -> None:
    assert parse(data) is None


def test_a_whole_request_is_read() -> None:
    found = parse(GOOD)
    assert found is not None
    assert (found.method, found.raw_path, found.body) == ("POST", "/api/v1/pods", b"{}")
    assert found.headers["host"] == "x" and found.headers["CONTENT-LENGTH"] == "2"


class Transport(asyncio.Transport):
    """Tells how it was ended."""

    def __init__(self) -> None:
        super().__init__()
        self.ended: asyncio.Queue[str] = asyncio.Queue()

    def close(self) -> None:
        self.ended.put_nowait("closed")

    def abort(self) -> None:
        self.ended.put_nowait("aborted")


def aiohttps(data: bytes) -> Whole | None:
    """The request as aiohttp reads it, if it is one whole request."""
    loop = asyncio.new_event_loop()
    try:
        protocol = BaseProtocol(loop)
        protocol.transport = asyncio.Transport()
        parser = HttpRequestParser(protocol, loop, 1 << 16)
        messages, upgraded, tail = parser.feed_data(data)
        if len(messages) != 1 or upgraded or tail:
            return None
        message, payload = messages[0]
        assert payload.is_eof()
        return Whole(message.method, message.path, message.headers, payload.read_nowait())
    finally:
        loop.close()


words = [b"GET ", b"POST ", b"/api/v1/pods", b"?limit=1", b" HTTP/1.1", b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"Host: x"]
words += [b"Accept: a/b, c/d", b"Content-Length: ", b"content-length:", b"0", b"2", b"5", b"{}", b"A:b", b"A: ", b" "]
words += [b"\t", b":", b"Connection: close", b"X-Y: \x80"]
lines = [b"Accept: a/b", b"A:b", b"C:  d ", b"E:", b"Content-Length: 2", b"content-length: 0"]
heads = st.lists(st.sampled_from(lines), max_size=4)
likely = st.builds(
    lambda method, path, lines, body: b"\r\n".join([b"%b %b HTTP/1.1" % (method, path), b"Host: x", *lines, b"", body]),
    st.sampled_from([b"GET", b"POST", b"DELETE"]),
    st.sampled_from([b"/api/v1/pods/a", b"/apis/apps/v1/deployments?a=b%20c", b"/api/v1/p#q"]),
    heads,
    st.sampled_from([b"", b"{}", b"{}\r\n"]),
)


@given(st.one_of(st.lists(st.sampled_from(words), max_size=14).map(b"".join), likely))
def test_both_read_the_same(data: bytes) -> None:
    found = parse(data)
    if found is None:
        return
    theirs = aiohttps(data)
    assert theirs is not None
    assert (found.method, found.raw_path, found.body) == (theirs.method, theirs.raw_path, theirs.body)
    assert [(name.lower(), value) for name, value in found.headers.items()] == [
        (name.lower(), value) for name, value in theirs.headers.items()
    ]


@pytest.mark.parametrize(("takes", "ended"), [(True, "closed"), (False, "aborted")])
async def test_an_idle_connection_ends_at_once_when_its_client_takes_nothing(
    takes: bool, ended: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "IDLE_TIMEOUT_S", 0.01)
    handler: Any = None
    lane = Lanes(HttpServer(handler), handler)()
    transport = Transport()
    lane.connection_made(transport)
    if not takes:
        lane.pause_writing()
    assert await asyncio.wait_for(transport.ended.get(), 10) == ended
    lane.connection_lost(None)
