"""One SPDY/3.1 connection, as the server: streams that the client opens, each with bytes both ways.

What a stream's reader does not take holds up the whole connection, as with the kubelet: its clients (``spdystream``)
know no windows, so nobody here waits for one, and TCP is what slows a sender down. Windows are still granted, for
clients that go by the book.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping

from picluster_agent.endpoint.channels import frames
from picluster_agent.endpoint.channels.link import Link
from picluster_agent.endpoint.channels.pipe import Pipe

STREAMS_MAX = 512
"""Streams of one connection that are open at one time."""

IDLE_TIMEOUT_S = 4 * 3600.0
"""A connection without a byte for so long is closed (the kubelet's ``streamingConnectionIdleTimeout``)."""

OnStream = Callable[["Stream"], bool]
"""Told of every new stream; says whether somebody wants it."""


class Stream:
    def __init__(self, connection: Connection, number: int, headers: Mapping[str, str]) -> None:
        self._connection = connection
        self.number = number
        self.headers = headers
        self.pipe = Pipe()
        self.finished = False
        """Nothing more is sent: the end was said, or either side has reset the stream."""
        self.ended = False
        """The client sends nothing more."""

    async def read(self) -> bytes:
        """What the client has sent; nothing at its end."""
        data = await self.pipe.get()
        if data and not self.ended:
            with contextlib.suppress(ConnectionError):
                await self._connection.send(frames.window_update(self.number, len(data)))
        return data

    @property
    def gone(self) -> bool:
        """Whether nothing goes either way any more."""
        return self.finished and self.ended

    async def write(self, data: bytes) -> None:
        """Raises ``ConnectionError`` when nobody reads any more."""
        for at in range(0, len(data), frames.DATA_BYTES_MAX):
            if self.finished:
                raise ConnectionResetError("the stream was reset")
            await self._connection.send(frames.data(self.number, data[at : at + frames.DATA_BYTES_MAX]))

    async def finish(self) -> None:
        """Say that nothing more comes; once."""
        if not self.finished:
            self.finished = True
            self._connection.settle(self)
            with contextlib.suppress(ConnectionError):
                await self._connection.send(frames.data(self.number, b"", fin=True))

    async def reset(self) -> None:
        """End both ways at once, unless both have ended."""
        self.pipe.abandon()
        if not (self.finished and self.ended):
            self.finished = self.ended = True
            self._connection.settle(self)
            with contextlib.suppress(ConnectionError):
                await self._connection.send(frames.rst_stream(self.number, frames.CANCEL))


class Connection:
    """``run`` it; whatever it has told ``on_stream`` of lives until it returns."""

    def __init__(self, link: Link, on_stream: OnStream) -> None:
        self._link = link
        self._on_stream = on_stream
        self._streams: dict[int, Stream] = {}
        self._last = 0
        self._sent = 0
        self._decoder = frames.Decoder()
        self._encoder = frames.Encoder()

    async def run(self) -> None:
        """Take what the client sends until it leaves, or does not speak SPDY; then every stream is at its end."""
        try:
            while data := await self._read():
                for frame in self._decoder.feed(data):
                    await self._take(frame)
        except (frames.FrameError, ConnectionError, TimeoutError):
            pass  # nobody is there to be told
        finally:
            for stream in list(self._streams.values()):
                stream.finished = stream.ended = True
                stream.pipe.end()
            self._streams.clear()

    async def _read(self) -> bytes:
        """What the client sends next; nothing when it has gone, or nothing passed either way for too long."""
        sent = -1
        while sent != self._sent:
            sent = self._sent
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(IDLE_TIMEOUT_S):
                    return await self._link.read()
        return b""

    async def send(self, data: bytes) -> None:
        self._sent += 1
        await self._link.write(data)

    async def close(self) -> None:
        """Say farewell and hang up."""
        with contextlib.suppress(ConnectionError):
            await self.send(frames.goaway(self._last))
        await self._link.close()

    def settle(self, stream: Stream) -> None:
        """Forget a stream that has ended both ways."""
        if stream.finished and stream.ended:
            self._streams.pop(stream.number, None)

    async def _take(self, frame: frames.Frame) -> None:
        if frame.kind == frames.SYN_STREAM:
            await self._open(frame)
        elif frame.kind == frames.PING:
            if frame.number % 2:  # the client's own; an even one would answer ours
                await self.send(frames.ping(frame.number))
        elif (stream := self._streams.get(frame.stream)) is None:
            return
        elif frame.kind == frames.RST_STREAM:
            stream.finished = stream.ended = True
            self.settle(stream)
            stream.pipe.end()
        elif frame.kind in (0, frames.HEADERS, frames.SYN_REPLY):
            async with asyncio.timeout(IDLE_TIMEOUT_S):  # who does not read for so long holds up the others no more
                await stream.pipe.put(frame.data)
            self._fin(frame, stream)

    async def _open(self, frame: frames.Frame) -> None:
        if frame.stream % 2 == 0 or frame.stream <= self._last:
            raise frames.FrameError(f"stream {frame.stream} after {self._last}")
        self._last = frame.stream
        stream = Stream(self, frame.stream, frame.headers)
        if len(self._streams) >= STREAMS_MAX or not self._on_stream(stream):
            await self.send(frames.rst_stream(frame.stream, frames.REFUSED_STREAM))
            return
        self._streams[frame.stream] = stream
        await self.send(self._encoder.syn_reply(frame.stream, {}))
        self._fin(frame, stream)

    def _fin(self, frame: frames.Frame, stream: Stream) -> None:
        if frame.fin:
            stream.ended = True
            self.settle(stream)
            stream.pipe.end()
