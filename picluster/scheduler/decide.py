"""Where one pod goes. PURE: a pod and a snapshot in, a node or the reasons out.

``decide`` is the naive way and the oracle: every filter on every node, every score on every node that is left.
``classes`` gives the same answers faster for pods of one template. Among equally good nodes ``tie`` picks, so that a
seed replays a decision.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from picluster.scheduler import filters, scores
from picluster.scheduler.model import NodeInfo, PodInfo
from picluster.scheduler.refusal import Refusal
from picluster.scheduler.snapshot import Snapshot
from picluster.scheduler.world import World

Tie = Callable[[Sequence[str]], str]


@dataclass(frozen=True, slots=True)
class Unschedulable:
    """Nobody can take the pod: how many nodes for which reason, and how many would not even after preemption."""

    nodes: int
    reasons: tuple[tuple[str, int], ...] = ()
    final: int = 0
    obstacle: str = ""
    """What keeps the pod from any node at all; then no node was looked at."""

    def message(self) -> str:
        """As the scheduler writes it into events and conditions."""
        if not self.nodes:
            return "no nodes available to schedule pods"
        counted = self.obstacle or ", ".join(sorted(f"{count} {reason}" for reason, count in self.reasons))
        available = f"0/{self.nodes} nodes are available: "
        rest = self.nodes - self.final
        hopeless = f"{self.final} Preemption is not helpful for scheduling" if self.final else ""
        victims = f"{rest} No preemption victims found for incoming pod" if rest else ""
        preemption = ", ".join(sorted(part for part in (hopeless, victims) if part))
        return f"{available}{counted}. preemption: {available}{preemption}."


def decide(pod: PodInfo, snapshot: Snapshot, tie: Tie) -> str | Unschedulable:
    """The name of the node for ``pod``, or why there is none."""
    obstacle = snapshot.volumes.obstacle(pod) if pod.claims else None
    if obstacle is not None:
        return Unschedulable(len(snapshot.nodes), final=len(snapshot.nodes), obstacle=obstacle)
    world = World(snapshot, pod)
    refused: Counter[Refusal] = Counter()
    feasible: list[NodeInfo] = []
    for node in snapshot.nodes.values():
        refusal = first_refusal(filters.ALL, pod, node, world)
        if refusal is None:
            feasible.append(node)
        else:
            refused[refusal] += 1
    if not feasible:
        return unschedulable(len(snapshot.nodes), refused)
    highest = best(pod, feasible, [scores.local(pod, node) for node in feasible], world)
    return tie([node.name for node in highest])


def first_refusal(checks: Iterable[filters.Filter], pod: PodInfo, node: NodeInfo, world: World) -> Refusal | None:
    for check in checks:
        refusal = check(pod, node, world)
        if refusal is not None:
            return refusal
    return None


def best(pod: PodInfo, feasible: Sequence[NodeInfo], local: Sequence[int], world: World) -> list[NodeInfo]:
    """The nodes with the highest sum of ``local`` and the relative scores."""
    if len(feasible) == 1:
        return list(feasible)
    totals = list(local)
    for score, weight in scores.RELATIVE:
        totals = [total + weight * value for total, value in zip(totals, score(pod, feasible, world), strict=True)]
    highest = max(totals)
    return [node for node, total in zip(feasible, totals, strict=True) if total == highest]


def unschedulable(nodes: int, refused: Mapping[Refusal, int]) -> Unschedulable:
    reasons: Counter[str] = Counter()
    final = 0
    for refusal, times in refused.items():
        for reason in refusal.reasons:
            reasons[reason] += times
        final += times * refusal.final
    return Unschedulable(nodes, tuple(sorted(reasons.items())), final)
