"""The bytes below SPDY: a connection that was taken over, or the messages of a WebSocket (KEP-4006's tunnel)."""

from __future__ import annotations

import asyncio
from typing import Protocol

from aiohttp import WSMsgType, web

from picluster.util.upgrade import READ_BYTES_MAX


class Link(Protocol):
    async def read(self) -> bytes:
        """Some bytes; nothing when the peer has gone."""

    async def write(self, data: bytes) -> None:
        """Send at the peer's pace; raises ``ConnectionError`` when it has gone."""

    async def close(self) -> None: ...


class RawLink:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read(self) -> bytes:
        try:
            return await self._reader.read(READ_BYTES_MAX)
        except OSError:
            return b""

    async def write(self, data: bytes) -> None:
        if self._writer.is_closing():
            raise ConnectionResetError("the client has gone")
        self._writer.write(data)
        await self._writer.drain()

    async def close(self) -> None:
        self._writer.close()


class TunnelLink:
    def __init__(self, socket: web.WebSocketResponse) -> None:
        self._socket = socket

    async def read(self) -> bytes:
        async for message in self._socket:
            if message.type is WSMsgType.BINARY and message.data:
                return bytes(message.data)
        return b""

    async def write(self, data: bytes) -> None:
        await self._socket.send_bytes(data)

    async def close(self) -> None:
        await self._socket.close()
