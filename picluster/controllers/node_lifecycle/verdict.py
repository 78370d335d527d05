"""From evidence to a verdict. PURE: the table of the failure detector, nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from picluster.power.outlet import OutletState


class Verdict(StrEnum):
    DEAD = "dead"
    """The outlet reads off. Nothing runs there: all its pods are replaced at once."""
    FENCE = "fence"
    """Nothing answers and there is an outlet to make sure: switch it off, read it back, then it is dead."""
    UNREACHABLE = "unreachable"
    """Nothing answers and nothing can make sure: pods are replaced after their toleration."""
    AGENT_DOWN = "agent down"
    """The board lives, its agent does not: restart the agent, let the pods run."""
    PARTITION = "partition"
    """Most of the rack is silent at once: it is rather us. Nobody is fenced or evicted."""
    WAIT = "wait"
    """Silent, but not for long enough to do anything that cannot be taken back."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was found out about one suspect node; ``outlet`` is ``None`` where there is none to ask."""

    outlet: OutletState | None
    ssh_answers: bool
    agent_answers: bool
    silent_s: float


@dataclass(frozen=True, slots=True)
class Standing:
    """A silent node: its verdict, for how long it has had it, and how long ago we fenced it, if ever."""

    verdict: Verdict
    held_s: float
    fenced_s: float | None = None


AT_ONCE_S = 60.0
"""Nodes that fell silent within this time of each other fell silent at once."""


def is_partition(heard: int, silent: Iterable[Standing]) -> bool:
    """Whether most of the rack is silent at once, ``heard`` being the number of nodes that are not.

    A node whose outlet was switched off by somebody else is explained and does not count, nor does one that has long
    been unreachable or without its agent. One that we fenced counts for a while, or a switch that dies port by port
    would have the whole rack fenced board by board. The only node of a rack is most of it: there is nobody who could
    take its pods over, so nothing is gained by cutting its power.
    """
    counted = sum(_counts(standing) for standing in silent)
    return counted > heard


def _counts(standing: Standing) -> bool:
    match standing.verdict:
        case Verdict.DEAD:
            return standing.fenced_s is not None and standing.fenced_s <= AT_ONCE_S
        case Verdict.UNREACHABLE | Verdict.AGENT_DOWN:
            return standing.held_s <= AT_ONCE_S
        case _:
            return True


def decide(evidence: Evidence, *, partition: bool, fence_after_s: float) -> Verdict:
    if evidence.outlet is OutletState.OFF:
        return Verdict.DEAD
    if partition:
        return Verdict.PARTITION
    if evidence.ssh_answers or evidence.agent_answers:
        return Verdict.AGENT_DOWN
    if evidence.outlet is OutletState.ON:
        return Verdict.FENCE if evidence.silent_s >= fence_after_s else Verdict.WAIT
    return Verdict.UNREACHABLE
