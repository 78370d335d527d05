"""Reading container logs as ``kubectl logs`` asks for them."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from picluster_agent.endpoint.logs import chosen, log_options
from picluster_agent.logs.logfile import LogOptions, read, render
from picluster_agent.logs.rotation import compress, make_room, step
from picluster_agent.logs.segments import tail_start
from picluster_agent.sync.model import Seen, State


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
        (line("x"), {"timestamps": True}, b"2026-01-01T00:00:00.123456789Z x\n"),
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


def rotated(path: Path, stamp: str, *numbers: int, packed: bool = False) -> None:
    """A rotated file of the log with these lines, last written in second 1000 + the last of them."""
    file = path.with_name(f"{path.name}.{stamp}")
    file.write_bytes(b"".join(line(f"line {number}", second=number) for number in numbers))
    os.utime(file, (1000 + numbers[-1],) * 2)
    if packed:
        compress(file)


async def test_all_files_of_a_log_are_read(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    rotated(path, "20260101-000001", 0, 1, packed=True)
    rotated(path, "20260101-000002", 2, 3, packed=True)
    rotated(path, "20260101-000003", 4, 5)
    path.write_bytes(line("line 6", second=6))
    (tmp_path / "0.log.20260101-000004.gz.tmp").write_bytes(b"half")
    whole = "".join(f"line {number}\n" for number in range(7)).encode()
    assert await text_of(path) == whole
    for count in range(9):
        assert await text_of(path, tail_lines=count) == b"".join(whole.splitlines(keepends=True)[max(7 - count, 0) :])
    assert await text_of(path, since_s=1004.5) == b"line 4\nline 5\nline 6\n"  # files from before are not opened
    (tmp_path / "0.log.20260101-000002.gz").write_bytes(b"cut off by a loss of power")
    assert await text_of(path) == whole.replace(b"line 2\nline 3\n", b"")
    path.unlink()
    assert await text_of(path, tail_lines=1) == b"line 5\n"


class Conmon:
    """Begins a new log when it is told, as conmon does."""

    def __init__(self, path: Path) -> None:
        self.path, self.written = path, 0
        self.file = path.open("wb", buffering=0)

    def say(self, count: int) -> None:
        for _ in range(count):
            self.file.write(line(f"{self.written}", second=self.written % 60))
            self.written += 1

    def reopen_log(self) -> None:
        self.say(1)
        fresh = self.path.with_name("fresh")
        self.file.close()
        self.file = fresh.open("wb", buffering=0)
        fresh.rename(self.path)


async def test_rotation_loses_nothing_and_keeps_so_many_files(tmp_path: Path) -> None:
    path, runs, got = tmp_path / "0.log", [True], bytearray()
    conmon = Conmon(path)

    async def follow() -> None:
        async for piece in read(path, LogOptions(follow=True), lambda: runs[0]):
            got.extend(piece)

    reader = asyncio.ensure_future(follow())
    for number in range(8):
        conmon.say(5)
        await asyncio.sleep(0.01)
        make_room(path, 4)
        step(path, conmon, f"20260101-{number:06d}")  # type: ignore[arg-type]
        if number % 3 == 0:
            await asyncio.sleep(0.05)
        assert len(list(tmp_path.iterdir())) <= 4
    conmon.say(1)
    runs[0] = False
    async with asyncio.timeout(10):
        await reader
    conmon.file.close()
    numbers = [int(one) for one in bytes(got).split()]
    assert numbers == list(range(conmon.written))
    assert sorted(one.name for one in tmp_path.iterdir()) == [
        "0.log", "0.log.20260101-000005.gz", "0.log.20260101-000006.gz", "0.log.20260101-000007"
    ]  # fmt: skip
    assert [int(one) for one in (await text_of(path)).split()] == list(range(30, conmon.written))


def test_a_container_that_ended_during_a_rotation_keeps_its_log(tmp_path: Path) -> None:
    class Gone:
        def reopen_log(self) -> None:
            raise OSError("nobody reads")

    path = tmp_path / "0.log"
    path.write_bytes(line("last"))
    with pytest.raises(OSError, match="nobody reads"):
        step(path, Gone(), "20260101-000000")  # type: ignore[arg-type]
    assert [one.name for one in tmp_path.iterdir()] == ["0.log"]


def attempt(number: int, state: State = State.EXITED) -> Seen:
    return Seen(id=f"id{number}", name="web", attempt=number, state=state)


@pytest.mark.parametrize(
    ("attempts", "waiting", "previous", "expected"),
    [
        ((attempt(0, State.RUNNING),), "", False, "id0"),
        ((attempt(0), attempt(1, State.RUNNING)), "", True, "id0"),
        ((attempt(0),), "CrashLoopBackOff", True, "id0"),
        ((attempt(0),), "CrashLoopBackOff", False, "id0"),
        ((attempt(0),), "", True, 'previous terminated container "web" in pod "p" not found'),
        ((attempt(0, State.CREATED),), "", False, 'container "web" in pod "p" is waiting to start: ContainerCreating'),
        ((), "PodInitializing", False, 'container "web" in pod "p" is waiting to start: PodInitializing'),
        ((), "ErrImagePull", False, "container \"web\" in pod \"p\" is waiting to start: image can't be pulled"),
        ((), "ImagePullBackOff", False,
         'container "web" in pod "p" is waiting to start: trying and failing to pull image'),
    ],
)  # fmt: skip
def test_whose_log_is_meant(attempts: tuple[Seen, ...], waiting: str, previous: bool, expected: str) -> None:
    state = {"waiting": {"reason": waiting}} if waiting else {"terminated": {}}
    pod = {"metadata": {"name": "p"}, "spec": {}, "status": {"containerStatuses": [{"name": "web", "state": state}]}}
    try:
        found = chosen(pod, "web", attempts, previous=previous).id
    except LookupError as error:
        found = error.args[0]
    assert found == expected


def test_the_query() -> None:
    options = log_options({"follow": "true", "tailLines": "5", "sinceSeconds": "10", "timestamps": "1"}, 100.0)
    assert options == LogOptions(follow=True, tail_lines=5, since_s=90.0, timestamps=True)
    assert log_options({"sinceTime": "1970-01-01T00:00:05Z"}, 0.0).since_s == 5.0
    for bad in ({"tailLines": "-1"}, {"limitBytes": "0"}, {"sinceSeconds": "x"}, {"sinceTime": "now"}):
        with pytest.raises(ValueError, match=r"must be|not an RFC 3339"):
            log_options(bad, 0.0)
