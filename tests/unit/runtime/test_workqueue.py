"""The work queue against client-go's semantics, in virtual time."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picluster.runtime import QueueClosed, WorkQueue
from picluster.util.clock import VirtualClock


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


async def test_a_key_waits_once(clock: VirtualClock) -> None:
    queue = WorkQueue[str](clock)
    for key in ("a", "b", "a"):
        queue.add(key)
    assert len(queue) == 2
    assert [await queue.get(), await queue.get()] == ["a", "b"]


async def test_a_key_added_during_its_work_comes_back_after_it(clock: VirtualClock) -> None:
    queue = WorkQueue[str](clock)
    queue.add("a")
    assert await queue.get() == "a"
    queue.add("a")
    queue.add("a")
    assert len(queue) == 0
    queue.done("a")
    assert len(queue) == 1
    assert await queue.get() == "a"
    queue.done("a")
    assert queue.idle


async def test_a_delayed_key_comes_when_it_is_due(clock: VirtualClock) -> None:
    queue = WorkQueue[str](clock)
    queue.add_after("late", 2.0)
    queue.add_after("soon", 1.0)
    queue.add_after("late", 5.0)  # the earlier of the two counts
    await clock.advance(0.9)
    assert len(queue) == 0
    await clock.advance(0.2)
    assert await queue.get() == "soon"
    await clock.advance(1.0)
    assert await queue.get() == "late"
    await clock.advance(10.0)
    assert len(queue) == 0
    queue.close()


async def test_failures_wait_twice_as_long_each_time_until_forgotten(clock: VirtualClock) -> None:
    queue = WorkQueue[str](clock, retry_min_s=1.0, retry_max_s=3.0)
    waited = []
    for _ in range(4):
        queue.add_rate_limited("a")
        before_s = clock.monotonic()
        while not len(queue):
            await clock.advance(0.5)
        waited.append(clock.monotonic() - before_s)
        queue.done(await queue.get())
    assert waited == [1.0, 2.0, 3.0, 3.0]
    assert queue.failures("a") == 4
    queue.forget("a")
    assert queue.failures("a") == 0
    queue.close()


async def test_the_defaults_are_those_of_client_go(clock: VirtualClock) -> None:
    queue = WorkQueue[str](clock)
    queue.add_rate_limited("a")
    await clock.advance(0.004)
    assert len(queue) == 0
    await clock.advance(0.001)
    assert len(queue) == 1
    for _ in range(100):
        queue.add_rate_limited("b")
    queue.close()


async def test_every_waiting_worker_gets_a_key(clock: VirtualClock) -> None:
    queue = WorkQueue[int](clock)
    workers = [asyncio.create_task(queue.get()) for _ in range(3)]
    await asyncio.sleep(0)
    workers[0].cancel()
    await asyncio.sleep(0)
    queue.add(1)
    queue.add(2)
    assert await asyncio.gather(*workers[1:]) == [1, 2]


async def test_a_worker_cancelled_at_the_moment_of_its_key_leaves_it_to_another(clock: VirtualClock) -> None:
    queue = WorkQueue[int](clock)
    first, second = (asyncio.create_task(queue.get()) for _ in range(2))
    await asyncio.sleep(0)
    queue.add(1)  # wakes the first
    first.cancel()
    assert await second == 1


async def test_closing_ends_the_workers(clock: VirtualClock) -> None:
    queue = WorkQueue[str](clock)
    worker = asyncio.create_task(queue.get())
    queue.add_after("later", 1.0)
    await asyncio.sleep(0)
    queue.close()
    with pytest.raises(QueueClosed):
        await worker
    queue.add("a")
    assert len(queue) == 0
    queue.close()


@given(st.lists(st.tuples(st.sampled_from(["add", "get", "done"]), st.integers(0, 3)), max_size=60))
async def test_no_key_is_lost_and_none_is_worked_on_twice_at_once(steps: list[tuple[str, int]]) -> None:
    queue = WorkQueue[int](VirtualClock())
    working: set[int] = set()
    wanted: set[int] = set()  # added since it was last taken
    for step, key in steps:
        if step == "add":
            queue.add(key)
            wanted.add(key)
        elif step == "get" and len(queue):
            taken = await queue.get()
            assert taken not in working
            working.add(taken)
            wanted.discard(taken)
        elif step == "done" and key in working:
            working.discard(key)
            queue.done(key)
    for key in list(working):
        working.discard(key)
        queue.done(key)
    left = set()
    while len(queue):
        left.add(await queue.get())
    assert left == wanted
