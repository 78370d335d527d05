"""Workers, their mistakes, and the end of a manager, in virtual time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from itertools import pairwise

import pytest

from picluster.api.errors import conflict
from picluster.api.resources import NODES, PODS
from picluster.client import Client, ClientConfig, TransportError
from picluster.runtime import Controller, Manager, Requeue
from picluster.util.clock import VirtualClock


class Scripted(Controller):
    """Does to a key what its script says, step by step."""

    name = "scripted"
    workers = 2

    def __init__(self, **script: list[Callable[[], float | None]]) -> None:
        self.script = script
        self.seen: list[tuple[str, float]] = []
        self.background_runs = 0

    def setup(self, manager: Manager) -> None:
        self.started_s = manager.clock.monotonic()

    async def reconcile(self, key: str) -> float | None:
        self.seen.append((key, self.clock.monotonic() - self.started_s))
        steps = self.script.get(key)
        return steps.pop(0)() if steps else None

    async def background(self) -> None:
        self.background_runs += 1
        if self.background_runs == 1:
            raise ValueError("a mistake in the background")
        await asyncio.Event().wait()


def failing(error: Exception) -> Callable[[], float | None]:
    def step() -> float | None:
        raise error

    return step


@contextlib.asynccontextmanager
async def running(controller: Controller, clock: VirtualClock) -> AsyncIterator[Manager]:
    manager = Manager(Client(ClientConfig("http://127.0.0.1:1"), clock=clock), clock)
    manager.add(controller)
    task = asyncio.create_task(manager.run())
    await manager.wait_ready()
    yield manager
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert [one for one in asyncio.all_tasks() if one is not asyncio.current_task()] == []


@pytest.mark.parametrize(
    ("error", "level"),
    [
        (ValueError("a mistake"), logging.ERROR),
        (conflict("", "pods", "a"), logging.DEBUG),
        (Requeue("not yet"), logging.DEBUG),
        (TransportError("no answer", sent=True), logging.WARNING),
    ],
)
async def test_what_fails_comes_back_later_and_later(
    error: Exception, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "picluster.runtime")
    clock = VirtualClock()
    controller = Scripted(a=[failing(error)] * 3)
    async with running(controller, clock):
        controller.queue.add("a")
        await clock.advance(1.0)
        times = [time_s for _, time_s in controller.seen]
        gaps = [round(later - earlier, 3) for earlier, later in pairwise(times)]
        assert gaps == [0.005, 0.01, 0.02]
        assert controller.queue.failures("a") == 0
    records = [record for record in caplog.records if record.name == "picluster.runtime.controller"]
    assert [record.levelno for record in records] == [level] * 3


async def test_a_key_may_ask_to_be_looked_at_again() -> None:
    clock = VirtualClock()
    controller = Scripted(a=[lambda: 5.0, lambda: None])
    async with running(controller, clock):
        controller.queue.add("a")
        await clock.advance(4.9)
        assert len(controller.seen) == 1
        await clock.advance(0.2)
        assert len(controller.seen) == 2
        await clock.advance(60)
        assert len(controller.seen) == 2


async def test_a_mistake_in_the_background_is_logged_and_it_starts_again(caplog: pytest.LogCaptureFixture) -> None:
    clock = VirtualClock()
    controller = Scripted()
    async with running(controller, clock):
        await clock.advance(0.5)
        assert controller.background_runs == 1
        await clock.advance(1.0)
        assert controller.background_runs == 2
    assert "scripted failed; it starts again" in caplog.text


async def test_a_stop_leaves_nothing_behind() -> None:
    clock = VirtualClock()
    controller = Scripted(a=[lambda: 100.0])
    async with running(controller, clock):
        controller.queue.add("a")
        await clock.advance(0.1)


async def test_asking_twice_gives_one_informer() -> None:
    manager = Manager(Client(ClientConfig("http://127.0.0.1:1")), VirtualClock())
    assert manager.informer(PODS) is manager.informer(PODS, metadata_only=True)
    assert manager.informer(PODS) is not manager.informer(PODS, namespace="default")
    assert manager.informer(PODS) is not manager.informer(NODES)
