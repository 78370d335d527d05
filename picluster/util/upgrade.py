"""A connection that an HTTP server gives up after ``101 Switching Protocols``: what follows is bytes, both ways."""

from __future__ import annotations

import asyncio

from aiohttp import web

READ_BYTES_MAX = 64 << 10


class Switched(web.StreamResponse):
    """The answer to a request whose connection has been given away: there is nothing more to send."""

    def __init__(self) -> None:
        super().__init__(status=101)
        self.force_close()

    async def prepare(self, request: web.BaseRequest) -> None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None


class _TakenOver(asyncio.StreamReaderProtocol):
    """The client's connection as a stream; the server still learns when it is lost."""

    def __init__(self, reader: asyncio.StreamReader, before: asyncio.BaseProtocol) -> None:
        super().__init__(reader)
        self._before = before

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._before.connection_lost(exc)


def take_over(request: web.BaseRequest, head: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Answer ``request`` with ``head``, and have its connection; raises ``ConnectionError`` when the client has gone.

    The handler closes the writer, and returns ``Switched`` then.
    """
    transport = request.transport
    if transport is None:
        raise ConnectionResetError("the client has gone")
    reader = asyncio.StreamReader(limit=READ_BYTES_MAX)
    taken = _TakenOver(reader, request.protocol)
    taken.connection_made(transport)
    transport.set_protocol(taken)
    writer = asyncio.StreamWriter(transport, taken, reader, asyncio.get_running_loop())
    writer.write(head)
    return reader, writer
