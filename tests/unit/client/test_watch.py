"""The framing of watch streams, however the network cuts them."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picluster.client.watch import MalformedStream, decode, lines


class Pieces:
    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = list(pieces)

    async def readany(self) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""


async def collect(pieces: list[bytes], line_bytes_max: int = 1 << 20) -> list[bytes]:
    return [line async for batch in lines(Pieces(pieces), line_bytes_max) for line in batch]


@given(
    st.lists(st.binary(min_size=1, max_size=20).filter(lambda line: b"\n" not in line), max_size=8),
    st.lists(st.integers(0, 200), max_size=10),
    st.binary(max_size=5).filter(lambda rest: b"\n" not in rest),
)
async def test_lines_do_not_depend_on_the_cuts(wanted: list[bytes], cuts: list[int], rest: bytes) -> None:
    stream = b"".join(line + b"\n" for line in wanted) + rest
    marks = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    pieces = [stream[start:end] for start, end in itertools.pairwise(marks)]
    assert await collect(pieces) == wanted


async def test_a_line_is_bounded() -> None:
    with pytest.raises(MalformedStream, match="longer than 8 bytes"):
        await collect([b"12345", b"6789"], 8)


@pytest.mark.parametrize("line", [b"{", b"[]", b'{"type":"ADDED"}', b"7"])
def test_what_is_no_event(line: bytes) -> None:
    with pytest.raises(MalformedStream):
        decode(line)
