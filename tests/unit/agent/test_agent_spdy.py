"""SPDY/3.1: frames there and back, streams of a connection, and what bounds them."""

from __future__ import annotations

import asyncio
import zlib
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picluster_agent.endpoint.channels import frames, pipe
from picluster_agent.endpoint.channels.spdy import STREAMS_MAX, Connection, Stream

NAMES = st.text(alphabet="abcdefghijklmnop-", min_size=1, max_size=12)
VALUES = st.text(alphabet="abc 123/", max_size=20)


def test_the_dictionary_is_that_of_the_protocol() -> None:
    assert (len(frames.DICTIONARY), zlib.adler32(frames.DICTIONARY)) == (1423, 0xE3C6A7C2)


@given(st.lists(st.dictionaries(NAMES, VALUES, max_size=5), max_size=5), st.integers(1, 40))
def test_headers_survive_in_any_pieces(blocks: list[dict[str, str]], size: int) -> None:
    encoder, decoder = frames.Encoder(), frames.Decoder()
    sent = b"".join(encoder.syn_stream(2 * index + 1, block) for index, block in enumerate(blocks))
    got = [frame for at in range(0, len(sent), size) for frame in decoder.feed(sent[at : at + size])]
    assert [(frame.kind, frame.stream, frame.headers) for frame in got] == [
        (frames.SYN_STREAM, 2 * index + 1, block) for index, block in enumerate(blocks)
    ]


@pytest.mark.parametrize(
    ("sent", "frame"),
    [
        (frames.data(3, b"abc", fin=True), frames.Frame(0, 3, True, b"abc")),
        (frames.rst_stream(5, frames.CANCEL), frames.Frame(frames.RST_STREAM, 5, number=frames.CANCEL)),
        (frames.window_update(7, 99), frames.Frame(frames.WINDOW_UPDATE, 7, number=99)),
        (frames.ping(9), frames.Frame(frames.PING, number=9)),
        (frames.goaway(11), frames.Frame(frames.GOAWAY, number=11)),
        (b"\x80\x03\x00\x04\x00\x00\x00\x04\x00\x00\x00\x00", None),
    ],
    ids=["data", "reset", "window", "ping", "farewell", "settings are nobody's business"],
)
def test_one_frame(sent: bytes, frame: frames.Frame | None) -> None:
    assert list(frames.Decoder().feed(sent)) == ([frame] if frame is not None else [])


BOMB = zlib.compressobj(zdict=frames.DICTIONARY)
BOMB_BLOCK = BOMB.compress(bytes(1 << 20)) + BOMB.flush(zlib.Z_SYNC_FLUSH)


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\n\r\n" * 3,
        b"\x80\x02\x00\x01\x00\x00\x00\x00",
        b"\x80\x03\x00\x01\x00\x00\x00\x02ab",
        b"\x80\x03\x00\x01\x00\x00\x00\x0e\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00junk",
        b"\x00\x00\x00\x01\x00\x7f\xff\xff",
        b"\x80\x03\x00\x01" + (len(BOMB_BLOCK) + 10).to_bytes(4, "big") + b"\0\0\0\1" + bytes(6) + BOMB_BLOCK,
    ],
    ids=["no spdy", "another version", "short", "no zlib", "too long", "a bomb"],
)
def test_what_is_refused(sent: bytes) -> None:
    with pytest.raises(frames.FrameError):
        list(frames.Decoder().feed(sent))


class Wire:
    """A link in memory: what the client sends, and the frames that it has been sent."""

    def __init__(self) -> None:
        self.incoming: asyncio.Queue[bytes] = asyncio.Queue()
        self.sent: deque[frames.Frame] = deque()
        self._decoder = frames.Decoder()

    async def read(self) -> bytes:
        return await self.incoming.get()

    async def write(self, data: bytes) -> None:
        self.sent.extend(self._decoder.feed(data))

    async def close(self) -> None: ...

    def kinds(self) -> list[tuple[int, int]]:
        got = [(frame.kind, frame.stream or frame.number) for frame in self.sent]
        self.sent.clear()
        return got


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_stream_lives_and_ends() -> None:
    wire, streams, encoder = Wire(), [], frames.Encoder()
    connection = Connection(wire, lambda stream: not streams.append(stream) and stream.headers["streamtype"] != "odd")
    running = asyncio.ensure_future(connection.run())
    wire.incoming.put_nowait(encoder.syn_stream(1, {"streamtype": "data"}) + frames.ping(1) + frames.ping(2))
    wire.incoming.put_nowait(encoder.syn_stream(3, {"streamtype": "odd"}) + frames.data(1, b"hello"))
    await settle()
    stream: Stream = streams[0]
    assert wire.kinds() == [(frames.SYN_REPLY, 1), (frames.PING, 1), (frames.RST_STREAM, 3)]
    assert await stream.read() == b"hello"
    assert wire.kinds() == [(frames.WINDOW_UPDATE, 1)]
    await stream.write(b"x" * (frames.DATA_BYTES_MAX + 1))
    assert [len(frame.data) for frame in wire.sent] == [frames.DATA_BYTES_MAX, 1]
    wire.incoming.put_nowait(frames.data(1, b"last", fin=True))
    assert (await stream.read(), await stream.read()) == (b"last", b"")
    await stream.finish()
    assert stream.gone and wire.sent[-1].fin
    wire.incoming.put_nowait(encoder.syn_stream(5, {"streamtype": "data"}) + frames.rst_stream(5, frames.CANCEL))
    await settle()
    assert await streams[2].read() == b""
    with pytest.raises(ConnectionError):
        await streams[2].write(b"nobody")
    wire.incoming.put_nowait(encoder.syn_stream(7, {"streamtype": "data"}))
    wire.incoming.put_nowait(b"")
    await running
    assert await streams[3].read() == b"" and streams[3].gone


async def test_streams_and_what_they_hold_are_bounded() -> None:
    wire, streams, encoder = Wire(), [], frames.Encoder()
    running = asyncio.ensure_future(Connection(wire, lambda stream: not streams.append(stream)).run())
    for number in range(STREAMS_MAX + 1):
        wire.incoming.put_nowait(encoder.syn_stream(2 * number + 1, {}))
    while not wire.incoming.empty():  # noqa: ASYNC110 - polls what has no event
        await asyncio.sleep(0)
    await settle()
    assert len(streams) == STREAMS_MAX
    assert wire.kinds()[-1] == (frames.RST_STREAM, 2 * STREAMS_MAX + 1)
    chunk = bytes(frames.DATA_BYTES_MAX)
    for _ in range(3 * pipe.PIPE_BYTES_MAX // len(chunk)):
        wire.incoming.put_nowait(frames.data(1, chunk))
    await settle()
    assert not wire.incoming.empty(), "whoever does not read holds up the sender"
    got = 0
    while got < 3 * pipe.PIPE_BYTES_MAX:
        got += len(await streams[0].read())
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_stream_that_comes_out_of_order_ends_the_connection() -> None:
    wire, encoder = Wire(), frames.Encoder()
    wire.incoming.put_nowait(encoder.syn_stream(3, {}) + encoder.syn_stream(1, {}))
    await Connection(wire, lambda stream: True).run()
