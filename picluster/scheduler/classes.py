"""Equivalence classes: pods that see the nodes alike share what was found out about them. PURE.

A decision compares groups of nodes (``groups``), of which there are few, so its cost hardly depends on how many nodes
there are. There are two ways, which give the same answers as ``decide.decide``, the oracle:

A *family* is all pods with the same demands on a node, whatever their owner. Its groups are kept once for all of them;
what differs between two owners is the few nodes where their pods are already, and these are looked at one by one. So
binding a pod costs each family one node, also when every next pod is of another template.

Pods with claims or disks are apart: what a node is to them changes with every volume, so each is decided by the oracle
itself.

A *class* is all pods of one template. Its groups also tell apart what the template says about other pods: spreading,
affinity. It serves whoever is choosy about pods, and owners whose pods are on many nodes.
"""

from __future__ import annotations

from array import array
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from picluster.scheduler import filters
from picluster.scheduler.decide import Tie, Unschedulable, best, decide, first_refusal, unschedulable
from picluster.scheduler.groups import Bucket, Group, GroupKey, Groups
from picluster.scheduler.model import HOST, NodeInfo, PodInfo
from picluster.scheduler.snapshot import Snapshot
from picluster.scheduler.world import SIBLINGS, ZONE, Name, Tally, World, tallies

KNOWN_MAX = 1000
ENTRIES_MAX = 3_000_000
"""Families and classes times nodes that are remembered, at some 60 bytes each."""
SIBLING_NODES_MAX = 256
"""On how many nodes an owner's pods may be for looking at these one by one."""

Key = tuple[object, ...]


class Classes:
    """``decide`` with a memory; the same answers as ``decide.decide``."""

    def __init__(self) -> None:
        self._known: OrderedDict[Key, _Class | _Family] = OrderedDict()
        self._snapshot: Snapshot | None = None

    def decide(self, pod: PodInfo, snapshot: Snapshot, tie: Tie) -> str | Unschedulable:
        if pod.has_volumes:
            return decide(pod, snapshot, tie)
        if snapshot is not self._snapshot:
            self._known.clear()
            self._snapshot = snapshot
        if is_plain(pod, snapshot):
            images = tuple(image for image in pod.images if image in snapshot.image_nodes)
            key: Key = (pod.demands, images)
        else:
            key = (pod.template,)
        known = self._known.get(key)
        if known is None:
            known = _Family(pod, snapshot) if len(key) > 1 else _Class(pod, snapshot)
            self._known[key] = known
            if len(self._known) > max(1, min(KNOWN_MAX, ENTRIES_MAX // max(1, len(snapshot.nodes)))):
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(key)
        return known.decide(pod, tie)


def is_plain(pod: PodInfo, snapshot: Snapshot) -> bool:
    """Whether no other pods matter to ``pod`` but its siblings on a few nodes."""
    if pod.spread or pod.choosy or len(snapshot.siblings(pod.owner_uid)) > SIBLING_NODES_MAX:
        return False
    others = snapshot.choosy_pods()
    return not others or not any(term.matches(pod) for other in others for term in other.all_terms)


class GroupWorld(World):
    """Sums that are known already, and nodes that stand for several."""

    def __init__(
        self, snapshot: Snapshot, wanted: Mapping[Name, Tally], counts: Mapping[Name, Mapping[str, int]]
    ) -> None:
        self.snapshot = snapshot
        self.tallies = dict(wanted)
        self.counts = counts
        self.sizes: dict[str, int] = {}
        self._least: dict[Name, int] = {}

    def begin(self) -> None:
        """A new decision."""
        self._least.clear()

    def count(self, name: Name) -> Mapping[str, int]:
        return self.counts[name]

    def least(self, name: Name) -> int:
        if name not in self._least:
            self._least[name] = super().least(name)
        return self._least[name]

    def size(self, node: NodeInfo) -> int:
        return self.sizes[node.name]


class _Class:
    def __init__(self, pod: PodInfo, snapshot: Snapshot) -> None:
        self._pod = pod
        self._snapshot = snapshot
        self._build(tallies(pod, snapshot))

    def _build(self, wanted: dict[Name, Tally]) -> None:
        self._choosy_version = self._snapshot.choosy_version
        self._nodes = Groups(self._pod, self._snapshot, wanted)
        counts = {name: sums.totals for name, sums in self._nodes.sums.items()}
        self._world = GroupWorld(self._snapshot, wanted, counts)

    def decide(self, pod: PodInfo, tie: Tie) -> str | Unschedulable:
        if self._snapshot.choosy_version != self._choosy_version:
            wanted = tallies(pod, self._snapshot)
            self._choosy_version = self._snapshot.choosy_version
            if wanted.keys() != self._world.tallies.keys():
                self._build(wanted)
        self._nodes.catch_up()
        self._world.begin()
        refused = Counter(self._nodes.refused)
        candidates = []
        for group in self._nodes.groups.values():
            top = max(group.buckets)
            bucket = group.buckets[top]
            node = self._nodes.node(bucket.slots[0])
            refusal = first_refusal(filters.GLOBAL, pod, node, self._world)
            if refusal is None:
                candidates.append(_Candidate(node, top, group.size, bucket.slots))
            else:
                refused[refusal] += group.size
        if not candidates:
            return unschedulable(len(self._snapshot.nodes), refused)
        return _choose(pod, candidates, self._world, tie)


class _Family:
    """Groups by traits and zone. An owner's nodes are taken out of them, and put beside them, their pods counted."""

    def __init__(self, pod: PodInfo, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._nodes = Groups(pod, snapshot, {(SIBLINGS, ZONE): Tally(ZONE, lambda node: 0)})

    def decide(self, pod: PodInfo, tie: Tie) -> str | Unschedulable:
        nodes, snapshot = self._nodes, self._snapshot
        nodes.catch_up()
        if not nodes.groups:
            return unschedulable(len(snapshot.nodes), nodes.refused)
        hosts, zones = self._siblings(pod)
        taken = self._taken(hosts)
        candidates = [_without(nodes, group, taken) for group in nodes.groups.values()]
        candidates += self._beside(taken, hosts)
        known: dict[Name, Tally] = {(SIBLINGS, HOST): Tally(HOST, _zero), (SIBLINGS, ZONE): Tally(ZONE, _zero)}
        world = GroupWorld(snapshot, known, {(SIBLINGS, HOST): hosts, (SIBLINGS, ZONE): zones})
        return _choose(pod, [candidate for candidate in candidates if candidate is not None], world, tie)

    def _siblings(self, pod: PodInfo) -> tuple[dict[str, int], dict[str, int]]:
        """Per host and per zone."""
        hosts: dict[str, int] = {}
        zones: dict[str, int] = {}
        for name, count in self._snapshot.siblings(pod.owner_uid).items():
            node = self._snapshot.nodes.get(name)
            for key, counts in ((HOST, hosts), (ZONE, zones)) if node is not None else ():
                value = node.labels.get(key) if node is not None else None
                if value is not None:
                    counts[value] = counts.get(value, 0) + count
        return hosts, zones

    def _taken(self, hosts: Mapping[str, int]) -> dict[Bucket, list[int]]:
        """The slots of the owner's hosts that could take the pod, by bucket."""
        found: dict[Bucket, list[int]] = {}
        for host in hosts:
            for slot in self._snapshot.of_host(host):
                place = self._nodes.places[slot]
                if isinstance(place, Bucket):
                    found.setdefault(place, []).append(slot)
        return found

    def _beside(self, taken: Mapping[Bucket, list[int]], hosts: Mapping[str, int]) -> list[_Candidate | None]:
        """The taken slots, as groups with equal counts, and of each the best."""
        sizes: Counter[tuple[GroupKey, int]] = Counter()
        tops: dict[tuple[GroupKey, int], tuple[int, array[int]]] = {}
        for bucket, slots in taken.items():
            for slot in slots:
                key = (bucket.group.key, hosts[self._nodes.node(slot).labels[HOST]])
                sizes[key] += 1
                top, best_slots = tops.get(key, (-1, array("i")))
                if bucket.local > top:
                    tops[key] = (bucket.local, array("i", (slot,)))
                elif bucket.local == top:
                    best_slots.append(slot)
        return [_Candidate(self._nodes.node(slots[0]), top, sizes[key], slots) for key, (top, slots) in tops.items()]


def _zero(node: NodeInfo) -> int:
    return 0


class _Candidate(NamedTuple):
    """A group that can take the pod: a node that stands for it, its best local score and who has it."""

    node: NodeInfo
    top: int
    size: int
    slots: Sequence[int]


def _without(nodes: Groups, group: Group, taken: Mapping[Bucket, list[int]]) -> _Candidate | None:
    """What is left of a group when some of its slots are taken out; ``None`` when nothing is."""
    size = group.size - sum(len(slots) for bucket, slots in taken.items() if bucket.group is group)
    if not size:
        return None
    for top in sorted(group.buckets, reverse=True):
        bucket = group.buckets[top]
        out = taken.get(bucket, ())
        if len(out) < len(bucket.slots):
            slots = _Others(bucket.slots, sorted(nodes.positions[slot] for slot in out)) if out else bucket.slots
            node = nodes.node(slots[0])
            return _Candidate(node, top, size, slots)
    return None


def _choose(pod: PodInfo, candidates: Sequence[_Candidate], world: GroupWorld, tie: Tie) -> str:
    by_name = {candidate.node.name: candidate for candidate in candidates}
    world.sizes = {name: candidate.size for name, candidate in by_name.items()}
    tops = [candidate.top for candidate in candidates]
    chosen = best(pod, [candidate.node for candidate in candidates], tops, world)
    return tie(_Names([by_name[node.name].slots for node in chosen], world.snapshot.slots))


class _Others(Sequence[int]):
    """The slots of a bucket but those at some positions, which are sorted."""

    def __init__(self, slots: Sequence[int], out: Sequence[int]) -> None:
        self._slots = slots
        self._out = out

    def __len__(self) -> int:
        return len(self._slots) - len(self._out)

    def __getitem__(self, index: int) -> int:  # type: ignore[override]
        if not 0 <= index < len(self):
            raise IndexError(index)
        for position in self._out:
            if position > index:
                break
            index += 1
        return self._slots[index]


class _Names(Sequence[str]):
    """The names of the nodes in some slots, not looked up before they are asked for."""

    def __init__(self, slots: Sequence[Sequence[int]], nodes: Sequence[NodeInfo | None]) -> None:
        self._parts = [(part, len(part)) for part in slots]
        self._nodes = nodes

    def __len__(self) -> int:
        return sum(size for _, size in self._parts)

    def __getitem__(self, index: int) -> str:  # type: ignore[override]
        for part, size in self._parts:
            if index < size:
                node = self._nodes[part[index]]
                assert node is not None
                return node.name
            index -= size
        raise IndexError(index)
