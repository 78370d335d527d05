"""What filters and scores may ask about the rest of the cluster while one pod, or one class of pods, is placed. PURE.

Where other pods are is asked through *tallies*: so many of a pod's kind on each node, summed up per value of a topology
label. ``tallies`` lists those that matter to a pod. ``World`` counts them over all nodes when it is asked;
``classes.ClassWorld`` keeps the same sums up to date, node by node.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from picluster.api.tolerations import tolerates
from picluster.scheduler.model import HOST, AffinityTerm, NodeInfo, PodInfo, SpreadConstraint
from picluster.scheduler.selection import wanted_by
from picluster.scheduler.snapshot import Snapshot

ZONE = "topology.kubernetes.io/zone"
SIBLINGS = "siblings"
HARD = ("NoSchedule", "NoExecute")

Name = tuple[str, int | str]
"""``("spread", 0)``: the pod's first spread constraint; ``("existing", KEY)``: what others forbid by KEY; and so on."""


class Tally(NamedTuple):
    key: str
    of: Callable[[NodeInfo], int]
    counted: Callable[[NodeInfo], bool] | None = None


class World:
    """The cluster as seen while placing ``pod``, counted when asked and kept for this one decision."""

    def __init__(self, snapshot: Snapshot, pod: PodInfo) -> None:
        self.snapshot = snapshot
        self.tallies = tallies(pod, snapshot)
        self._counts: dict[Name, dict[str, int]] = {}

    def count(self, name: Name) -> Mapping[str, int]:
        """The tally's sum per value of its topology label, over the nodes it counts; 0 included."""
        found = self._counts.get(name)
        if found is None:
            found = self._counts[name] = {}
            key, of, counted = self.tallies[name]
            for node in self.snapshot.nodes.values():
                value = node.labels.get(key)
                if value is not None and (counted is None or counted(node)):
                    found[value] = found.get(value, 0) + of(node)
        return found

    def at(self, name: Name, node: NodeInfo) -> int:
        """The sum in the node's domain; 0 for a node without the label."""
        value = node.labels.get(self.tallies[name].key)
        return 0 if value is None else self.count(name).get(value, 0)

    def least(self, name: Name) -> int:
        return min(self.count(name).values(), default=0)

    def most(self, name: Name) -> int:
        return max(self.count(name).values(), default=0)

    def size(self, node: NodeInfo) -> int:
        """How many nodes ``node`` stands for."""
        return 1


def tallies(pod: PodInfo, snapshot: Snapshot) -> dict[Name, Tally]:
    """All that can matter to ``pod``: its own rules, its siblings, and what the pods that are placed say about it."""
    found: dict[Name, Tally] = dict(_own(pod, snapshot))
    for other in snapshot.choosy_pods():
        for term in other.anti_affinity:
            if term.matches(pod):
                found["existing", term.topology_key] = Tally(term.topology_key, _forbidden(pod, term.topology_key))
        for term in (*other.preferred_pods, *other.affinity):
            if term.matches(pod):
                found["prefer", term.topology_key] = Tally(term.topology_key, _preference(pod, term.topology_key))
    return found


def _own(pod: PodInfo, snapshot: Snapshot) -> Iterator[tuple[Name, Tally]]:
    for i, constraint in enumerate(pod.spread):
        yield ("spread", i), Tally(constraint.topology_key, _matching(pod, constraint), _counted(pod, constraint))
    if not pod.spread and pod.owner_uid:
        owner_uid = pod.owner_uid
        for key in (HOST, ZONE):
            yield (SIBLINGS, key), Tally(key, lambda node: snapshot.siblings(owner_uid).get(node.name, 0))
    for kind, terms in (("affinity", pod.affinity), ("anti", pod.anti_affinity)):
        for i, term in enumerate(terms):
            yield (kind, i), Tally(term.topology_key, _matched(term))
    for term in pod.preferred_pods:
        yield ("prefer", term.topology_key), Tally(term.topology_key, _preference(pod, term.topology_key))


def _matched(term: AffinityTerm) -> Callable[[NodeInfo], int]:
    return lambda node: sum(map(term.matches, node.pods.values()))


def _matching(pod: PodInfo, constraint: SpreadConstraint) -> Callable[[NodeInfo], int]:
    """Pods of this pod's namespace that the constraint selects, those on their way out aside."""
    selector, namespace = constraint.selector, pod.namespace
    if selector is None:
        return lambda node: 0
    return lambda node: sum(
        not other.terminating and other.namespace == namespace and selector.matches(other.labels)
        for other in node.pods.values()
    )


def _counted(pod: PodInfo, constraint: SpreadConstraint) -> Callable[[NodeInfo], bool]:
    """Whether a node's domain takes part: it has every key, and the pod could use it as far as its policies ask."""
    keys = [entry.topology_key for entry in pod.spread if entry.hard == constraint.hard]

    def counted(node: NodeInfo) -> bool:
        if any(key not in node.labels for key in keys):
            return False
        if constraint.honor_affinity and not wanted_by(pod, node):
            return False
        return not constraint.honor_taints or untolerated(pod, node) is None

    return counted


def untolerated(pod: PodInfo, node: NodeInfo) -> Mapping[str, str] | None:
    """The first taint that keeps ``pod`` off ``node``."""
    for taint in node.taints:
        if taint.get("effect") in HARD and not tolerates(pod.tolerations, taint):
            return taint
    return None


def _forbidden(pod: PodInfo, key: str) -> Callable[[NodeInfo], int]:
    def of(node: NodeInfo) -> int:
        return sum(
            term.topology_key == key and term.matches(pod)
            for other in node.pods.values()
            for term in other.anti_affinity
        )

    return of


def _preference(pod: PodInfo, key: str) -> Callable[[NodeInfo], int]:
    """Weights of preferred terms, ours and theirs; their required affinity counts 1 (``HardPodAffinityWeight``)."""
    ours = [term for term in pod.preferred_pods if term.topology_key == key]

    def of(node: NodeInfo) -> int:
        total = 0
        for other in node.pods.values():
            total += sum(term.weight for term in ours if term.matches(other))
            for term in other.preferred_pods:
                if term.topology_key == key and term.matches(pod):
                    total += term.weight
            total += sum(term.topology_key == key and term.matches(pod) for term in other.affinity)
        return total

    return of
