"""Bytes on their way from one task to another, bounded: who puts waits for who gets."""

from __future__ import annotations

import asyncio

PIPE_BYTES_MAX = 256 << 10


class Pipe:
    def __init__(self) -> None:
        self._held: list[bytes] = []
        self._size_bytes = 0
        self._ended = False
        self._filled = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    async def put(self, data: bytes) -> None:
        """Hand ``data`` over once there is room; after the end it goes nowhere."""
        await self._room.wait()
        if self._ended or not data:
            return
        self._held.append(data)
        self._size_bytes += len(data)
        self._filled.set()
        if self._size_bytes >= PIPE_BYTES_MAX:
            self._room.clear()

    def end(self) -> None:
        """Nothing more comes; what was put can still be got."""
        self._ended = True
        self._filled.set()
        self._room.set()

    def abandon(self) -> None:
        """Nobody gets any more: whatever is put goes nowhere."""
        self._held, self._size_bytes = [], 0
        self.end()

    async def get(self) -> bytes:
        """All that is there, as soon as something is; nothing at the end."""
        await self._filled.wait()
        data = b"".join(self._held)
        self._held, self._size_bytes = [], 0
        if not self._ended:
            self._filled.clear()
            self._room.set()
        return data
