"""Which dead containers may go. PURE.

A pod's worker keeps the newest dead container of each name: its log is the previous one, and restarts are decided from
it. Here the bounds over all pods are held, and all goes that may when the disk is short.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from picluster_agent.sync.model import Seen, State


@dataclass(frozen=True, slots=True)
class Dead:
    uid: str
    id: str
    name: str
    attempt: int
    finished_s: float
    needed: bool = False
    """Its pod lives, and no newer attempt has taken its place: what happens next depends on it."""


def dead(uid: str, seen: Iterable[Seen], *, over: bool) -> list[Dead]:
    """The dead containers of a pod; ``over`` when none of them will ever run again."""
    everyone = list(seen)
    newest = {one.name: max(other.attempt for other in everyone if other.name == one.name) for one in everyone}
    return [
        Dead(uid, one.id, one.name, one.attempt, one.finished_s, not over and one.attempt == newest[one.name])
        for one in everyone
        if one.state is State.EXITED
    ]


def surplus(found: Iterable[Dead], *, each_max: int, all_max: int, ttl_s: float, now_s: float) -> list[Dead]:
    """Those beyond ``each_max`` of one container, and the oldest beyond ``all_max`` of the node; no bound below 0."""
    aged = [one for one in found if not one.needed and now_s - one.finished_s >= ttl_s]
    gone: list[Dead] = []
    groups: dict[tuple[str, str], list[Dead]] = {}
    for one in sorted(aged, key=lambda one: -one.attempt):
        groups.setdefault((one.uid, one.name), []).append(one)
    if each_max >= 0:
        for group in groups.values():
            gone += group[each_max:]
    left = sorted((one for one in aged if one not in gone), key=lambda one: one.finished_s)
    if 0 <= all_max < len(left):
        gone += left[: len(left) - all_max]
    return gone
