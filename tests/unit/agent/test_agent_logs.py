"""Reading container logs as ``kubectl logs`` asks for them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from picluster_agent.endpoint.logfile import LogOptions, read, render
from picluster_agent.endpoint.segments import tail_start
from picluster_agent.endpoint.logs import log_options


def line(text: str, *, second: int = 0, stream: str = "stdout", tag: str = "F") -> bytes:
    return f"2026-01-01T00:00:{second:02d}.123456789+00:00 {stream} {tag} {text}\n".encode()


async def text_of(path: Path, **options: object) -> bytes:
    return b"".join([piece async for piece in read(path, LogOptions(**options), lambda: False)])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("raw", "options", "shown"),
    [
        (line("hello"), {}, b"hello\n"),
        (line("part", tag="P"), {}, b"part"),
        (line("a b  c"), {}, b"a b  c\n"),
        (line(""), {}, b"\n"),
        (line("x"), {"timestamps": True}, b"2026-01-01T00:00:00.123456789+00:00 x\n"),
        (line("x"), {"since_s": 1767225601.0}, b""),
        (line("x", second=2), {"since_s": 1767225601.0}, b"x\n"),
        (line("x", stream="stderr"), {"stream": "Stdout"}, b""),
        (line("x", stream="stderr"), {"stream": "Stderr"}, b"x\n"),
        (b"rubbish\n", {}, b""),
    ],
)
def test_one_line(raw: bytes, options: dict[str, object], shown: bytes) -> None:
    assert render(raw, LogOptions(**options)) == shown  # type: ignore[arg-type]


@given(st.lists(st.text(alphabet="ab", max_size=5), max_size=30), st.integers(0, 40), st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_the_tail(tmp_path: Path, lines: list[str], count: int, ended: bool) -> None:
    path = tmp_path / "log"
    text = "\n".join(lines) + ("\n" if ended and lines else "")
    path.write_text(text)
    whole = text.splitlines(keepends=True)
    with path.open("rb") as file:
        offset, missing = tail_start(file, count)
        assert missing == max(count - len(whole), 0)
        file.seek(offset)
        assert file.read().decode() == "".join(whole[len(whole) - min(count, len(whole)) :])


async def test_options_together(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"".join(line(f"line {number}", second=number) for number in range(10)))
    assert await text_of(path, tail_lines=2) == b"line 8\nline 9\n"
    assert await text_of(path, tail_lines=0) == b""
    assert await text_of(path, limit_bytes=9) == b"line 0\nli"
    assert (await text_of(path)).count(b"\n") == 10


async def test_following_sees_what_comes_and_a_log_begun_anew(tmp_path: Path) -> None:
    path, got, runs = tmp_path / "log", bytearray(), [True]
    path.write_bytes(line("one"))

    async def follow() -> None:
        async for piece in read(path, LogOptions(follow=True), lambda: runs[0]):
            got.extend(piece)

    async def until(wanted: bytes) -> None:
        async with asyncio.timeout(5):
            while bytes(got) != wanted:  # noqa: ASYNC110 - polls what has no event
                await asyncio.sleep(0.01)

    reader = asyncio.ensure_future(follow())
    await until(b"one\n")
    with path.open("ab") as file:
        file.write(line("two")[:-3])
        file.flush()
        file.write(line("two")[-3:])
    await until(b"one\ntwo\n")
    fresh = tmp_path / "fresh"
    fresh.write_bytes(line("three"))
    fresh.rename(path)
    await until(b"one\ntwo\nthree\n")
    with path.open("ab") as file:
        file.write(line("last"))
    runs[0] = False
    await reader
    assert bytes(got) == b"one\ntwo\nthree\nlast\n"


def test_the_query() -> None:
    options = log_options({"follow": "true", "tailLines": "5", "sinceSeconds": "10", "timestamps": "1"}, 100.0)
    assert options == LogOptions(follow=True, tail_lines=5, since_s=90.0, timestamps=True)
    assert log_options({"sinceTime": "1970-01-01T00:00:05Z"}, 0.0).since_s == 5.0
    for bad in ({"tailLines": "-1"}, {"limitBytes": "0"}, {"sinceSeconds": "x"}, {"sinceTime": "now"}):
        with pytest.raises(ValueError, match=r"must be|not an RFC 3339"):
            log_options(bad, 0.0)
