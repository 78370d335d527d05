"""The channels of a command: what is negotiated, how sizes are read, and how much waits between two tasks."""

from __future__ import annotations

import asyncio
import json

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from picluster.api.types import Object
from picluster_agent.endpoint.channels import session
from picluster_agent.endpoint.channels.pipe import PIPE_BYTES_MAX, Pipe
from picluster_agent.endpoint.channels.session import Session, Wanted
from picluster_agent.endpoint.channels.spdysession import PROTOCOLS, negotiated
from picluster_agent.endpoint.execution import exit_status, failure_status
from picluster_agent.endpoint.streams import wanted_channels


@pytest.mark.parametrize(
    ("offered", "expected"),
    [
        (["v4.channel.k8s.io", "v3.channel.k8s.io"], "v4.channel.k8s.io"),
        (["v5.channel.k8s.io", "v2.channel.k8s.io"], "v2.channel.k8s.io"),
        (["v3.channel.k8s.io, v4.channel.k8s.io"], "v3.channel.k8s.io"),
        ([], "channel.k8s.io"),
    ],
)
def test_negotiation(offered: list[str], expected: str) -> None:
    headers = CIMultiDict([("X-Stream-Protocol-Version", one) for one in offered])
    assert negotiated(make_mocked_request("POST", "/exec", headers=headers), PROTOCOLS) == expected


def test_a_negotiation_that_fails() -> None:
    headers = CIMultiDict([("X-Stream-Protocol-Version", "v9.channel.k8s.io")])
    with pytest.raises(web.HTTPForbidden) as refused:
        negotiated(make_mocked_request("POST", "/exec", headers=headers), PROTOCOLS)
    assert refused.value.headers.getall("X-Accepted-Stream-Protocol-Versions") == list(PROTOCOLS)
    assert "unable to negotiate protocol: client supports ['v9.channel.k8s.io']" in str(refused.value.text)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("input=1&output=1&error=1", Wanted(True, True, True, False)),
        ("stdout=true&tty=true&stderr=true", Wanted(False, True, False, True)),
        ("input=0&output=1", Wanted(False, True, False, False)),
        ("input=0", None),
        ("tty=1&error=1", None),
    ],
)
def test_wanted_channels(query: str, expected: Wanted | None) -> None:
    request = make_mocked_request("GET", f"/exec?{query}")
    if expected is None:
        with pytest.raises(web.HTTPBadRequest, match="Bad Request"):
            wanted_channels(request)
    else:
        assert wanted_channels(request) == expected


def test_statuses() -> None:
    assert session.error_text(exit_status(0)) == b""
    assert session.error_text(exit_status(3)) == b"command terminated with non-zero exit code: exit status 3"
    assert failure_status("no runtime")["message"] == "Internal error occurred: no runtime"


async def test_a_pipe_is_bounded_and_ends() -> None:
    pipe = Pipe()
    await pipe.put(bytes(PIPE_BYTES_MAX))
    waiting = asyncio.ensure_future(pipe.put(b"more"))
    await asyncio.sleep(0)
    assert not waiting.done()
    assert len(await pipe.get()) == PIPE_BYTES_MAX
    await waiting
    pipe.end()
    await pipe.put(b"too late")
    assert [await pipe.get(), await pipe.get()] == [b"more", b""]
    full = Pipe()
    await full.put(bytes(PIPE_BYTES_MAX))
    waiting = asyncio.ensure_future(full.put(b"more"))
    await asyncio.sleep(0)
    full.abandon()
    await waiting
    assert await full.get() == b""


class Recorded(Session):
    """A client in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[Object] = []

    async def output(self, channel: int, data: bytes) -> None: ...

    async def finish(self, status: Object) -> None:
        self.told.append(status)


async def test_only_the_newest_good_size_counts() -> None:
    one = Recorded()
    for message in (
        {"Width": 80, "Height": 24},
        {"Width": 0, "Height": 1},
        {"Width": 100, "Height": 50},
        {"Width": 1},
        5,
    ):
        one.resize(json.dumps(message).encode())
    one.resize(b"{")
    assert await one.size() == (100, 50)


async def test_a_session_ends_with_its_command_or_its_client(monkeypatch: pytest.MonkeyPatch) -> None:
    async def listening() -> None:
        await asyncio.Event().wait()

    async def leaving() -> None:
        await asyncio.sleep(0)

    async def command(one: Session) -> Object:
        return exit_status(0)

    async def until_gone(one: Session) -> Object:
        assert await one.input.get() == b""
        await one.gone.wait()
        raise ConnectionResetError("the client has gone")

    ended, left, idle = Recorded(), Recorded(), Recorded()
    await session.run(ended, listening(), command)
    assert ended.told == [exit_status(0)]
    await session.run(left, leaving(), until_gone)
    assert left.told == []
    monkeypatch.setattr(session, "IDLE_TIMEOUT_S", 0.01)
    async with asyncio.timeout(5):
        await session.run(idle, listening(), until_gone)
    assert idle.gone.is_set()
