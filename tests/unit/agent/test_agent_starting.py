"""When a container that ended starts again, and what its handlers may say."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from picluster.util.clock import SYSTEM_CLOCK, VirtualClock
from picluster_agent.probes.checks import Subject
from picluster_agent.sync import lifecycle, spec
from picluster_agent.sync.context import PodContext, PodPaths
from picluster_agent.sync.model import Seen, State
from picluster_agent.sync.starting import Starter

NOW_S = 1_700_000_000.0
POD = {
    "metadata": {"name": "web", "namespace": "default", "uid": "u1"},
    "spec": {"containers": [{"name": "web", "image": "i"}]},
}
KEY = spec.backoff_key(POD["spec"]["containers"][0])  # type: ignore[index]


@pytest.fixture
def starter() -> Starter:
    runtime: Any = SimpleNamespace(clock=VirtualClock(NOW_S), crash_backoff_max_s=300.0)
    context = PodContext(uid="u1", pod=POD, paths=PodPaths(Path("/none"), Path("/none")), sandbox="s")
    return Starter(runtime, context, lambda: None, lambda stop: None)


def ended(attempt: int, at_s: float, sandbox: str = "s") -> Seen:
    return Seen(f"web-{attempt}", "web", attempt, State.EXITED, sandbox=sandbox, exit_code=1, finished_s=at_s)


def test_a_crash_waits_from_its_end(starter: Starter) -> None:
    assert starter.not_before((ended(0, NOW_S),), frozenset()) == {"web": 0.0}
    starter.crashes.next(KEY, NOW_S, NOW_S)
    assert starter.not_before((ended(1, NOW_S + 1),), frozenset()) == {"web": NOW_S + 11}


def test_what_was_stopped_to_be_replaced_waits_from_the_end_before(starter: Starter) -> None:
    """The kubelet restarts such a container in the same breath: it has not seen its end yet."""
    starter.crashes.next(KEY, NOW_S, NOW_S)
    long_ago, just_now = ended(1, NOW_S + 1), ended(2, NOW_S + 60)
    assert starter.not_before((long_ago, just_now), frozenset({"web-2"})) == {"web": NOW_S + 11}
    assert starter.not_before((long_ago, just_now), frozenset()) == {"web": NOW_S + 70}
    soon = ended(2, NOW_S + 5)
    assert starter.not_before((long_ago, soon), frozenset({"web-2"})) == {"web": NOW_S + 15}
    assert starter.not_before((soon,), frozenset({"web-2"})) == {}


def test_a_new_sandbox_or_another_image_waits_for_nothing(starter: Starter) -> None:
    starter.crashes.next(KEY, NOW_S, NOW_S)
    assert starter.not_before((ended(1, NOW_S + 1, "old"),), frozenset()) == {}
    assert starter.crashes.until(spec.backoff_key({"name": "web", "image": "other"}), NOW_S) == 0


@pytest.mark.parametrize(
    ("handler", "well"),
    [
        ({"httpGet": {"port": 0}}, True),
        ({"httpGet": {"port": 1}}, False),
        ({"tcpSocket": {"port": 0}}, False),  # never was a handler, whatever the schema says
        ({"sleep": {"seconds": 0}}, True),
    ],
)
async def test_a_server_has_only_to_answer_its_handler(handler: dict[str, Any], well: bool) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 500 No\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        for how in ("httpGet", "tcpSocket"):
            if how in handler and handler[how]["port"] == 0:
                handler = {how: {"port": server.sockets[0].getsockname()[1]}}
        runtime: Any = SimpleNamespace(podman=None, clock=SYSTEM_CLOCK)
        wrong = await lifecycle.run(runtime, Subject("id", {"name": "web"}, "127.0.0.1"), handler)
    assert (wrong == "") == well
