"""Restart back-off as the kubelet keeps it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from picluster_agent.sync.backoff import INITIAL_S, MAX_S, CrashBackoff


def test_the_first_restart_is_immediate_and_the_next_ones_wait_twice_as_long_each() -> None:
    backoff, now_s, waits = CrashBackoff(), 1000.0, []
    for _ in range(8):
        start_s = max(backoff.until("web", now_s), now_s)
        waits.append(start_s - now_s)
        backoff.next("web", now_s, start_s)
        now_s = start_s + 1
    assert waits == [0, 10, 20, 40, 80, 160, 300, 300]


def test_ten_good_minutes_forgive() -> None:
    backoff = CrashBackoff()
    for _ in range(4):
        backoff.next("web", 1000.0, 1000.0)
    assert backoff.until("web", 1000.0 + 2 * MAX_S) > 0
    assert backoff.until("web", 1001.0 + 2 * MAX_S) == 0
    backoff.next("web", 1001.0 + 2 * MAX_S, 1001.0 + 2 * MAX_S)
    assert backoff.delay_s("web") == INITIAL_S


def test_the_longest_wait_can_be_set() -> None:
    backoff, waits = CrashBackoff(max_s=5.0), []
    for ended_s in (0.0, 1.0, 7.0):
        waits.append(max(backoff.until("web", ended_s) - ended_s, 0.0))
        backoff.next("web", ended_s, ended_s)
    assert waits == [0.0, 5.0, 5.0]


def test_containers_do_not_wait_for_each_other() -> None:
    backoff = CrashBackoff()
    backoff.next("web", 1000.0, 1000.0)
    assert backoff.until("log", 1000.0) == 0


@given(st.lists(st.floats(0, 1000), max_size=30))
def test_a_wait_is_never_longer_than_the_maximum(gaps: list[float]) -> None:
    backoff, now_s = CrashBackoff(), 0.0
    for gap_s in gaps:
        now_s += gap_s
        assert backoff.until("web", now_s) <= now_s + MAX_S
        backoff.next("web", now_s, now_s)
