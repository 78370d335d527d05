"""Long bodies: the same bytes as one body, in pieces of bounded size."""

from __future__ import annotations

import asyncio
import zlib

import pytest
from aiohttp.abc import AbstractStreamWriter
from hypothesis import given
from hypothesis import strategies as st

from picluster.api.resources import CONFIGMAPS
from picluster.apiserver import pieces
from picluster.apiserver.pieces import PIECE_BYTES, Pieces, Zipped
from picluster.apiserver.representation import Plain


class Writer(AbstractStreamWriter):
    """Collects what is written; with ``stalls`` it is a client that takes nothing."""

    def __init__(self, *, stalls: bool = False) -> None:
        self.written: list[bytes] = []
        self._stalls = stalls

    async def write(self, chunk: bytes) -> None:  # type: ignore[override]
        if self._stalls:
            await asyncio.get_running_loop().create_future()
        self.written.append(chunk)

    async def write_eof(self, chunk: bytes = b"") -> None: ...

    async def drain(self) -> None: ...

    def enable_compression(self, encoding: str = "deflate", strategy: int | None = None) -> None: ...

    def enable_chunking(self) -> None: ...

    async def write_headers(self, status_line: str, headers: object) -> None: ...


@given(st.lists(st.integers(0, PIECE_BYTES * 2), max_size=12))
async def test_pieces_are_the_body_and_bounded(sizes: list[int]) -> None:
    items = [b"x" * size for size in sizes]
    body = Pieces(b"head", items, b"tail")
    whole = b"head" + b",".join(items) + b"tail"
    assert bytes(body) == whole and len(body) == body.size == len(whole)
    assert all(len(piece) <= PIECE_BYTES + max(sizes, default=0) + 10 for piece in body)
    writer = Writer()
    await body.write(writer)
    assert b"".join(writer.written) == whole


async def test_compressed_it_is_the_same_body() -> None:
    body = Pieces(b"[", [b'"%d"' % number * 1000 for number in range(500)], b"]")
    writer = Writer()
    await Zipped(body).write(writer)
    assert zlib.decompress(b"".join(writer.written), 31) == bytes(body)


async def test_others_have_their_turn_between_two_pieces() -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    await Pieces(b"", [b"x" * PIECE_BYTES] * 10, b"").write(Writer())
    task.cancel()
    assert turns >= 10


async def test_who_takes_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "STALLED_S", 0.01)
    with pytest.raises(ConnectionError):
        await Pieces(b"", [b"x"], b"").write(Writer(stalls=True))


def test_only_long_lists_go_in_pieces() -> None:
    plain = Plain(CONFIGMAPS)
    assert isinstance(plain.many([b"{}"] * 10, {}), bytes)
    assert isinstance(plain.many([b"x" * PIECE_BYTES], {}), Pieces)
