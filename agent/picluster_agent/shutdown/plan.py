"""Who ends when, and how long it may take (``pkg/kubelet/nodeshutdown``). PURE."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from picluster.api.types import Object
from picluster_agent.sync.model import Outcome
from picluster_agent.sync.spec import grace_period_s

CRITICAL_PRIORITY = 2_000_000_000
MESSAGE = "Pod was terminated in response to imminent node shutdown."
OVER = ("Succeeded", "Failed")


class Grace(NamedTuple):
    """Pods of at least this priority have this long."""

    priority: int
    period_s: float


def graces(whole_s: float, critical_s: float, by_priority: Mapping[int, float]) -> tuple[Grace, ...]:
    """What the settings say, the lowest priority first; empty when a shutdown shall not wait."""
    if by_priority:
        return tuple(Grace(priority, by_priority[priority]) for priority in sorted(by_priority))
    if whole_s <= 0:
        return ()
    return (Grace(0, whole_s - critical_s), Grace(CRITICAL_PRIORITY, critical_s))


def total_s(listed: Iterable[Grace]) -> float:
    return sum(grace.period_s for grace in listed)


def groups(pods: Iterable[Object], listed: Sequence[Grace]) -> list[tuple[Grace, list[Object]]]:
    """Pods by the grace that is theirs, in the order in which they end; those that are over are left out.

    Below the lowest priority the first grace counts, above the highest the last, between two the lower.
    """
    found: list[tuple[Grace, list[Object]]] = [(grace, []) for grace in listed]
    priorities = [grace.priority for grace in listed]
    for pod in pods if listed else ():
        if (pod.get("status") or {}).get("phase") in OVER:
            continue
        priority = int(pod["spec"].get("priority") or 0)
        index = min(bisect_left(priorities, priority), len(listed) - 1)
        if index > 0 and priorities[index] > priority:
            index -= 1
        found[index][1].append(pod)
    return [(grace, members) for grace, members in found if members]


def outcome(pod: Object, period_s: float) -> Outcome:
    """How a pod ends: within its own grace period, if that is shorter."""
    grace_s = min(grace_period_s(pod), period_s)
    return Outcome("Failed", "Terminated", MESSAGE, disruption=MESSAGE, grace_s=grace_s)
