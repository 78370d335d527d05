"""Seats, hands of queues, and whose turn it is."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picluster.apiserver.flowcontrol.levels import Level, Limits, Ticket, Usage, deal, limits_of, may_borrow
from picluster.apiserver.flowcontrol.objects import objects

SPECS = {obj["metadata"]["name"]: obj["spec"] for resource, obj in objects() if resource.kind != "FlowSchema"}
QUEUED = Limits(seats=1, queues=8, hand=1, queue_max=5)


def waiting(level: Level, queue: int, name: str, width: int = 1) -> Ticket | None:
    ticket = Ticket(Usage(name, level.name), width, lambda: None)
    return ticket if level.enqueue(ticket, (queue,)) else None


def served(level: Level) -> list[str]:
    """Who is dispatched, in order, as if every request were done at once."""
    found = []
    while level.next_width():
        ticket = level.dispatch()
        level.executing -= ticket.width
        found.append(ticket.usage.schema)
    return found


def test_seats_are_shared_as_kubernetes_shares_them() -> None:
    limits = limits_of(SPECS, 600)
    assert {name: each.seats for name, each in limits.items()} == {
        "catch-all": 13, "exempt": 0, "global-default": 49, "leader-election": 25, "node-high": 98, "system": 74,
        "workload-high": 98, "workload-low": 245,
    }  # fmt: skip
    assert {name: each.lendable for name, each in limits.items() if each.lendable} == {
        "global-default": 25, "node-high": 25, "system": 24, "workload-high": 49, "workload-low": 221,
    }  # fmt: skip
    assert limits["exempt"].exempt and limits["catch-all"].queues == 0
    assert limits["workload-low"][4:] == (128, 6, 50)


def test_what_may_be_borrowed_is_a_percentage_or_everything() -> None:
    spec = {"type": "Limited", "limited": {"nominalConcurrencyShares": 5, "borrowingLimitPercent": 50}}
    assert limits_of({"mine": spec}, 100)["mine"].borrowable == 25
    assert limits_of({}, 100)["catch-all"].borrowable == 100


def test_without_any_object_the_mandatory_levels_are_there() -> None:
    limits = limits_of({}, 120)
    assert (limits["catch-all"].seats, limits["exempt"].exempt) == (120, True)


@given(st.text(max_size=20), st.integers(1, 128), st.integers(1, 10))
def test_a_hand_has_different_queues_and_is_the_same_each_time(name: str, queues: int, hand: int) -> None:
    limits = Limits(queues=queues, hand=min(hand, queues))
    dealt = deal("schema", name, limits)
    assert dealt == deal("schema", name, limits)
    assert len(set(dealt)) == len(dealt) == limits.hand
    assert all(0 <= index < queues for index in dealt)


def test_hands_are_spread_evenly() -> None:
    limits = Limits(queues=64, hand=6)
    hands = [deal("schema", f"user-{number}", limits) for number in range(2000)]
    counted = Counter(index for hand in hands for index in hand)
    assert len(counted) == 64
    assert max(counted.values()) < 2 * min(counted.values())
    assert sum(set(hand) <= set(hands[0]) for hand in hands) == 1, "a flood covers nobody else's whole hand"


def test_a_request_joins_the_shortest_queue_of_its_hand() -> None:
    level = Level("l", QUEUED)
    for number, expected in enumerate((2, 5, 2, 5)):
        ticket = Ticket(Usage(str(number), "l"), 1, lambda: None)
        assert level.enqueue(ticket, (2, 5))
        assert ticket.queue is not None and ticket.queue.index == expected


def test_a_full_queue_takes_nobody_and_others_still_do() -> None:
    level = Level("l", QUEUED)
    assert all(waiting(level, 0, "flood") for _ in range(5))
    assert waiting(level, 0, "flood") is None
    assert waiting(level, 1, "other") is not None
    assert (level.waiting, level.active_queues) == (6, 2)


def test_queues_take_turns() -> None:
    level = Level("l", QUEUED)
    for queue, name in ((0, "a"), (0, "a"), (0, "a"), (1, "b"), (1, "b"), (2, "c")):
        waiting(level, queue, name)
    assert served(level) == ["a", "b", "c", "a", "b", "a"]


def test_wide_requests_use_up_more_turns() -> None:
    level = Level("l", QUEUED._replace(seats=10))
    for _ in range(3):
        waiting(level, 0, "wide", 3)
    for _ in range(5):
        waiting(level, 1, "thin", 1)
    assert served(level) == ["wide", "thin", "thin", "thin", "wide", "thin", "thin", "wide"]


def test_who_was_idle_has_saved_up_no_turns() -> None:
    level = Level("l", QUEUED)
    for _ in range(5):
        waiting(level, 0, "busy")
    for _ in range(3):
        level.dispatch()
    for _ in range(4):
        waiting(level, 1, "late")
    assert served(level) == ["late", "busy", "late", "busy", "late", "late"]


def test_who_withdraws_is_not_dispatched_and_counts_no_longer() -> None:
    level = Level("l", QUEUED)
    first, second = waiting(level, 0, "a"), waiting(level, 1, "b")
    assert first is not None and second is not None
    assert level.withdraw(first)
    assert not level.withdraw(first)
    assert (first.usage.waiting, level.waiting) == (0, 1)
    assert served(level) == ["b"]
    assert not level.withdraw(second)


def test_what_is_wider_than_its_level_runs_alone() -> None:
    level = Level("l", QUEUED._replace(seats=2))
    assert level.fits(3)
    level.executing = 1
    assert level.fits(1) and not level.fits(3)


@pytest.mark.parametrize(("seats", "widest"), [(1, 1), (20, 3), (49, 8), (600, 10)])
def test_no_request_takes_much_of_its_level(seats: int, widest: int) -> None:
    assert Level("l", Limits(seats=seats)).width_max == widest


def test_fewer_queues_leave_those_that_wait_where_they_are() -> None:
    level = Level("l", QUEUED)
    waiting(level, 7, "old")
    level.set_limits(QUEUED._replace(queues=2))
    waiting(level, 0, "new")
    assert served(level) == ["old", "new"]


def borrowing(**changes: int) -> dict[str, Level]:
    return {
        "mine": Level("mine", Limits(seats=2, borrowable=changes.get("borrowable", 10))),
        "lender": Level("lender", Limits(seats=4, lendable=3)),
        "other": Level("other", Limits(seats=2, borrowable=10)),
    }


def test_idle_seats_that_are_lendable_can_be_borrowed() -> None:
    levels = borrowing()
    levels["mine"].executing = 4
    assert may_borrow(levels["mine"], 1, levels) and not may_borrow(levels["mine"], 2, levels)
    levels["lender"].executing = 3
    assert not may_borrow(levels["mine"], 1, levels), "one is idle, two are borrowed already"


def test_what_somebody_else_has_borrowed_is_lent_once() -> None:
    levels = borrowing()
    levels["other"].executing = 4
    levels["mine"].executing = 2
    assert may_borrow(levels["mine"], 1, levels) and not may_borrow(levels["mine"], 2, levels)


def test_a_level_borrows_no_more_than_it_may() -> None:
    levels = borrowing(borrowable=1)
    levels["mine"].executing = 2
    assert may_borrow(levels["mine"], 1, levels) and not may_borrow(levels["mine"], 2, levels)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 10)), min_size=4, max_size=60))
def test_queues_that_all_wait_are_served_alike(asked: list[tuple[int, int]]) -> None:
    """As long as both wait, no queue is ahead of another by more than the widest request."""
    level = Level("l", QUEUED._replace(queue_max=100))
    left = Counter(queue for queue, _ in asked)
    for queue, width in asked:
        waiting(level, queue, str(queue), width)
    got = dict.fromkeys(left, 0)
    while level.next_width():
        ticket = level.dispatch()
        queue = int(ticket.usage.schema)
        got[queue] += ticket.width
        left[queue] -= 1
        behind = [got[other] for other in got if left[other]]
        if left[queue] and behind:
            assert max(got[other] for other in got if left[other]) - min(behind) <= 10
    assert sum(got.values()) == sum(width for _, width in asked) == level.executing
    assert level.waiting == level.active_queues == 0
