"""Virtual time, back-off and supervised tasks."""

from __future__ import annotations

import asyncio
import logging
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picluster.util import logging as picluster_logging
from picluster.util.backoff import Backoff
from picluster.util.clock import SYSTEM_CLOCK, VirtualClock
from picluster.util.tasks import Tasks


async def test_sleepers_wake_in_the_order_of_their_time() -> None:
    clock = VirtualClock(start_s=1000.0)
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, delay_s: float) -> None:
        await clock.sleep(delay_s)
        woken.append((name, clock.monotonic()))

    tasks = [asyncio.create_task(sleeper(name, delay_s)) for name, delay_s in (("b", 2.0), ("a", 1.0), ("now", 0.0))]
    await clock.advance(1.5)
    assert woken == [("now", 0.0), ("a", 1.0)]
    await clock.advance(10.0)
    assert woken[2:] == [("b", 2.0)]
    assert clock.now() == 1011.5
    await asyncio.gather(*tasks)


async def test_a_cancelled_sleeper_harms_nobody() -> None:
    clock = VirtualClock()
    cancelled = asyncio.create_task(clock.sleep(1.0))
    other = asyncio.create_task(clock.sleep(2.0))
    await asyncio.sleep(0)
    cancelled.cancel()
    await clock.advance(3.0)
    assert other.done()
    assert cancelled.cancelled()


async def test_the_system_clock_is_the_systems() -> None:
    before_s = SYSTEM_CLOCK.monotonic()
    await SYSTEM_CLOCK.sleep(0.001)
    assert SYSTEM_CLOCK.monotonic() > before_s
    assert SYSTEM_CLOCK.now() > 1_500_000_000


@given(st.floats(0.001, 10), st.floats(0.001, 100), st.floats(1, 5), st.floats(0, 1), st.integers())
def test_a_delay_grows_to_its_bound(initial_s: float, max_s: float, factor: float, jitter: float, seed: int) -> None:
    backoff = Backoff(min(initial_s, max_s), max_s, factor, jitter, random.Random(seed))
    delays = [backoff.next_s() for _ in range(30)]
    assert all(0 < delay_s <= max_s * (1 + jitter) for delay_s in delays)
    backoff.reset()
    assert backoff.next_s() <= min(initial_s, max_s) * (1 + jitter)


def test_without_jitter_a_delay_doubles() -> None:
    backoff = Backoff(0.5, 3.0)
    assert [backoff.next_s() for _ in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]


async def test_a_task_that_fails_is_heard_of(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise ValueError("a mistake")

    tasks = Tasks("owner")
    await asyncio.wait([tasks.spawn(fail(), "work")])
    await asyncio.sleep(0)
    assert "task owner/work failed" in caplog.text
    assert len(tasks) == 0


async def test_tasks_end_with_their_owner() -> None:
    tasks = Tasks("owner")
    task = tasks.spawn(asyncio.Event().wait(), "forever")
    await tasks.close()
    assert task.cancelled()
    await tasks.close()


def test_logging_goes_to_standard_error_in_one_format(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        picluster_logging.configure("info")
        logging.getLogger("picluster.test").info("hello")
        logging.getLogger("picluster.test").debug("not this")
        logging.getLogger("asyncio").info("nor this")
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("INFO    picluster.test: hello")
    assert line[10] == "T"
