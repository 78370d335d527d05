"""Who is next, who waits, and what wakes them."""

from __future__ import annotations

from typing import Any

from picluster.scheduler.model import PodInfo, pod_info
from picluster.scheduler.queue import PARKED_MAX_S, SchedulingQueue


def pod(name: str, priority: int = 0, uid: str = "", **spec: Any) -> PodInfo:
    metadata = {"name": name, "namespace": "d", "uid": uid or name}
    return pod_info({"metadata": metadata, "spec": {"containers": [], "priority": priority, **spec}})


def names(queue: SchedulingQueue, now_s: float) -> list[str]:
    found = []
    while (popped := queue.pop(now_s)) is not None:
        found.append(popped.key[2:])
    return found


def test_priority_first_then_age() -> None:
    queue = SchedulingQueue()
    for entry in (pod("old"), pod("young"), pod("urgent", priority=9)):
        queue.add(entry, 0)
    assert names(queue, 0) == ["urgent", "old", "young"]


def test_a_parked_pod_waits_for_a_change_and_then_for_its_backoff() -> None:
    queue = SchedulingQueue()
    queue.add(pod("p"), 0)
    popped = queue.pop(0)
    assert popped is not None
    queue.park(popped, 0)
    assert names(queue, 100) == []
    queue.move(100)
    assert names(queue, 100) == ["p"]
    queue.park(popped, 100)
    queue.move(100.5)
    assert queue.next_wake_s() == 102
    assert names(queue, 101.9) == []
    assert names(queue, 102) == ["p"]


def test_backoff_grows_to_ten_seconds() -> None:
    queue, now_s, waits = SchedulingQueue(), 0.0, []
    subject = pod("p")
    queue.add(subject, now_s)
    for _ in range(6):
        assert queue.pop(now_s) is not None
        queue.park(subject, now_s)
        queue.move(now_s)
        wake_s = queue.next_wake_s()
        assert wake_s is not None
        waits.append(wake_s - now_s)
        now_s = wake_s
    assert waits == [1, 2, 4, 8, 10, 10]


def test_nobody_stays_parked_for_ever() -> None:
    queue = SchedulingQueue()
    queue.add(pod("p"), 0)
    popped = queue.pop(0)
    assert popped is not None
    queue.park(popped, 0)
    assert queue.next_wake_s() == PARKED_MAX_S
    assert names(queue, PARKED_MAX_S) == ["p"]


def test_a_change_while_a_pod_is_tried_is_not_missed() -> None:
    queue = SchedulingQueue()
    queue.add(pod("p"), 0)
    popped = queue.pop(0)
    assert popped is not None
    queue.move(0)
    queue.park(popped, 0)
    assert queue.next_wake_s() == 1


def test_a_change_that_cannot_help_wakes_nobody() -> None:
    queue = SchedulingQueue()
    queue.add(pod("p"), 0)
    popped = queue.pop(0)
    assert popped is not None
    queue.park(popped, 0)
    queue.move(50, lambda parked: False)
    assert queue.next_wake_s() == PARKED_MAX_S


def test_a_changed_pod_is_tried_again_and_another_pod_of_its_name_starts_anew() -> None:
    queue = SchedulingQueue()
    queue.add(pod("p"), 0)
    popped = queue.pop(0)
    assert popped is not None
    queue.park(popped, 0)
    queue.add(pod("p", nodeSelector={"a": "b"}), 50)
    assert names(queue, 50) == ["p"]
    queue.add(pod("p", uid="other"), 50)
    assert names(queue, 50) == ["p"]


def test_a_removed_pod_is_never_popped() -> None:
    queue = SchedulingQueue()
    queue.add(pod("p"), 0)
    queue.remove("d/p")
    queue.remove("d/p")
    assert queue.pop(0) is None
    assert len(queue) == 0
