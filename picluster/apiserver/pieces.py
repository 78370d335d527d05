"""A long answer's body: parts that are joined piece by piece while they are sent, never as a whole.

What a LIST shows is in memory already, as the bytes of its objects. Joined to one body it would be there again, once
more with its headers, and twice more encrypted; and the buffer that TLS encrypts into stays as large as the largest
write for as long as the connection lives. So a body is sent in pieces, each when the client has taken enough of those
before it. Between two pieces everybody else has a turn, and the client reads one while the next is encrypted.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterator, Sequence

from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_writer import StreamWriter
from aiohttp.payload import Payload

PIECE_BYTES = 256 << 10
STALLED_S = 60.0
"""How long a client may take for one piece; kube-apiserver ends a whole request after as long."""
GZIP_LEVEL = 1
GZIP_WINDOW = 31  # zlib's way of asking for a gzip header


class Pieces(Payload):
    """``head``, the items with commas between them, and ``tail``."""

    def __init__(self, head: bytes, items: Sequence[bytes], tail: bytes) -> None:
        super().__init__(None)
        self._head = head
        self._items = items
        self._tail = tail
        self._size = len(head) + sum(map(len, items)) + max(0, len(items) - 1) + len(tail)

    def __len__(self) -> int:
        assert self._size is not None
        return self._size

    def __bytes__(self) -> bytes:
        return b"".join(self)

    def __iter__(self) -> Iterator[bytes]:
        """The pieces; one is longer than ``PIECE_BYTES`` by an item at most."""
        parts, size = [self._head], len(self._head)
        comma = b""
        for item in self._items:
            parts += (comma, item)
            comma = b","
            size += len(item) + 1
            if size >= PIECE_BYTES:
                yield b"".join(parts)
                parts, size = [], 0
        parts.append(self._tail)
        yield b"".join(parts)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return bytes(self).decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Send everything; raises ``ConnectionError`` when the client is gone or takes nothing any more."""
        for piece in self:
            await _taken(writer, piece)
            await asyncio.sleep(0)


class Zipped(Payload):
    """The same, compressed on its way, away from the event loop; nobody knows how long it will be."""

    def __init__(self, pieces: Pieces) -> None:
        super().__init__(None)
        self._pieces = pieces

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return self._pieces.decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        loop = asyncio.get_running_loop()
        compressor = _compressor()
        for piece in self._pieces:
            await _taken(writer, await loop.run_in_executor(None, compressor.compress, piece))
        await _taken(writer, compressor.flush())


def zipped(body: bytes) -> bytes:
    compressor = _compressor()
    return compressor.compress(body) + compressor.flush()


def _compressor() -> zlib._Compress:
    return zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, GZIP_WINDOW)


async def _taken(writer: AbstractStreamWriter, piece: bytes) -> None:
    try:
        async with asyncio.timeout(STALLED_S):
            await writer.write(piece)
    except TimeoutError:
        if isinstance(writer, StreamWriter) and writer.transport is not None:
            writer.transport.abort()
        raise ConnectionError("the client takes nothing any more") from None
