"""Thresholds crossed, remembered and cleared: one step of the eviction manager's clockwork. PURE.

``synchronize`` of ``pkg/kubelet/eviction/eviction_manager.go``: a threshold is met from when less is available than it
says until its minimum reclaim is there too; a soft one counts after its grace period; a condition of the node holds for
the transition period after it was last seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from picluster_agent import amounts
from picluster_agent.config import Config

ALLOCATABLE_MEMORY = "allocatableMemory.available"
PRESSURES = {
    "memory.available": "MemoryPressure",
    ALLOCATABLE_MEMORY: "MemoryPressure",
    "nodefs.available": "DiskPressure",
    "nodefs.inodesFree": "DiskPressure",
    "imagefs.available": "DiskPressure",
    "imagefs.inodesFree": "DiskPressure",
    "containerfs.available": "DiskPressure",
    "containerfs.inodesFree": "DiskPressure",
    "pid.available": "PIDPressure",
}
RESOURCES = {
    "memory.available": "memory",
    ALLOCATABLE_MEMORY: "memory",
    "nodefs.available": "ephemeral-storage",
    "imagefs.available": "ephemeral-storage",
    "containerfs.available": "ephemeral-storage",
    "nodefs.inodesFree": "inodes",
    "imagefs.inodesFree": "inodes",
    "containerfs.inodesFree": "inodes",
    "pid.available": "pids",
}
FOLLOWED = {"containerfs.available": "fs.available", "containerfs.inodesFree": "fs.inodesFree"}


@dataclass(frozen=True, slots=True)
class Threshold:
    """``amount`` and ``reclaim`` are quantities or percentages; no grace means that it is a hard one."""

    signal: str
    amount: str
    grace_s: float = 0.0
    reclaim: str = "0"

    @property
    def hard(self) -> bool:
        return self.grace_s == 0.0


@dataclass(frozen=True, slots=True)
class Observation:
    available: int
    capacity: int


Observations = Mapping[str, Observation]


@dataclass(frozen=True, slots=True)
class State:
    """What one step leaves for the next."""

    first_s: Mapping[Threshold, float] = field(default_factory=dict)
    """Since when each threshold has been crossed."""
    last_s: Mapping[str, float] = field(default_factory=dict)
    """When each condition was last seen."""
    met: tuple[Threshold, ...] = ()
    """Thresholds crossed for long enough: something must be done."""
    pressures: tuple[str, ...] = ()
    """The node's conditions that are true."""


def of_config(config: Config, *, split: bool) -> tuple[Threshold, ...]:
    """All thresholds. ``split``: images and containers have a file system of their own.

    That of containers has the thresholds of the one that they are on, whatever the settings say; the group of all pods
    has the hard one of memory.
    """
    hard = {signal: amount for signal, amount in config.eviction_hard.items() if signal not in FOLLOWED}
    soft = {signal: amount for signal, amount in config.eviction_soft.items() if signal not in FOLLOWED}
    home = "image" if split else "node"
    for own, suffix in FOLLOWED.items():
        for listed in (hard, soft):
            if (amount := listed.get(home + suffix)) is not None:
                listed[own] = amount
    if "memory.available" in hard:
        hard[ALLOCATABLE_MEMORY] = hard["memory.available"]

    def reclaim(signal: str) -> str:
        followed = home + FOLLOWED[signal] if signal in FOLLOWED else signal
        return config.eviction_minimum_reclaim.get(followed, "0")

    def grace_s(signal: str) -> float:
        followed = home + FOLLOWED[signal] if signal in FOLLOWED else signal
        return amounts.duration_s(config.eviction_soft_grace_period[followed])

    return (
        *(Threshold(signal, amount, 0.0, reclaim(signal)) for signal, amount in hard.items()),
        *(Threshold(signal, amount, grace_s(signal), reclaim(signal)) for signal, amount in soft.items()),
    )


def crossed(
    thresholds: Sequence[Threshold], seen: Observations, *, with_reclaim: bool = False
) -> tuple[Threshold, ...]:
    """Of which less is available than they say, and their minimum reclaim where that counts."""
    found = []
    for one in thresholds:
        if (now := seen.get(one.signal)) is None:
            continue
        wanted = amounts.of(one.amount, now.capacity)
        if with_reclaim:
            wanted += amounts.of(one.reclaim, now.capacity)
        if wanted > now.available:
            found.append(one)
    return tuple(found)


def step(state: State, thresholds: Sequence[Threshold], seen: Observations, now_s: float, transition_s: float) -> State:
    """What holds now."""
    unresolved = crossed(state.met, seen, with_reclaim=True)
    active = tuple(dict.fromkeys((*crossed(thresholds, seen), *unresolved)))
    first_s = {one: state.first_s.get(one, now_s) for one in active}
    observed = {PRESSURES[one.signal]: now_s for one in active}
    last_s = {**state.last_s, **observed}
    pressures = tuple(name for name, at_s in last_s.items() if now_s - at_s < transition_s or name in observed)
    met = tuple(one for one, since_s in first_s.items() if now_s - since_s >= one.grace_s)
    return State(first_s, {name: last_s[name] for name in pressures}, met, pressures)


def foremost(met: Sequence[Threshold]) -> Threshold | None:
    """The threshold to act on: memory comes first."""
    return min(met, key=lambda one: RESOURCES[one.signal] != "memory", default=None)
