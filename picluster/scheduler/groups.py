"""Nodes sorted by what a pod sees in them, and kept sorted change by change. PURE.

Nodes that no filter and no relative score can tell apart form a *group*; within it those with the same local score
form a *bucket*, so the best nodes of a group are the members of one bucket. ``Groups`` brings in what changed since
it was last asked (``Snapshot.changed_since``) and nothing else.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Mapping

from picluster.scheduler import filters, scores
from picluster.scheduler.decide import first_refusal
from picluster.scheduler.model import HOST, NodeInfo, PodInfo
from picluster.scheduler.refusal import Refusal
from picluster.scheduler.snapshot import Snapshot
from picluster.scheduler.world import Name, Tally, World

GroupKey = tuple[object, ...]


class Group:
    """Nodes that are alike but for their local scores."""

    __slots__ = ("buckets", "key", "size")

    def __init__(self, key: GroupKey) -> None:
        self.key = key
        self.size = 0
        self.buckets: dict[int, Bucket] = {}


class Bucket:
    """The slots of one group's nodes that have one local score."""

    __slots__ = ("group", "local", "slots")

    def __init__(self, group: Group, local: int) -> None:
        self.group = group
        self.local = local
        self.slots = array("i")


class Sums:
    """A tally kept per node and per domain."""

    __slots__ = ("amounts", "by_host", "domains", "nodes", "tally", "totals", "values")

    def __init__(self, tally: Tally) -> None:
        self.tally = tally
        self.by_host = tally.key == HOST
        self.totals: dict[str, int] = {}
        self.nodes: dict[str, int] = {}
        self.values: list[str | None] = []
        self.amounts = array("q")

    def make_room(self, slots: int) -> None:
        self.values.extend([None] * (slots - len(self.values)))
        self.amounts.extend([0] * (slots - len(self.amounts)))

    def update(self, slot: int, node: NodeInfo | None, replaced: bool) -> bool:
        """Count the slot's node anew; whether anything changed. ``replaced``: more of it changed than its pods."""
        before, had = self.values[slot], self.amounts[slot]
        value = self._domain(node) if replaced else before
        has = self.tally.of(node) if node is not None and value is not None else 0
        if value == before and has == had:
            return False
        if before is not None:
            self._count(before, -had, -1)
        if value is not None:
            self._count(value, has, 1)
        self.values[slot], self.amounts[slot] = value, has
        return True

    def trait(self, slot: int, node: NodeInfo) -> object:
        """What of this tally tells nodes apart: each host has a label of its own, so there it is the sum."""
        value = self.values[slot]
        if value is None:
            return ("not counted", node.labels.get(self.tally.key))
        return self.totals[value] if self.by_host else value

    def _domain(self, node: NodeInfo | None) -> str | None:
        if node is None or (self.tally.counted is not None and not self.tally.counted(node)):
            return None
        return node.labels.get(self.tally.key)

    def _count(self, value: str, amount: int, nodes: int) -> None:
        left = self.nodes.get(value, 0) + nodes
        if left:
            self.nodes[value] = left
            self.totals[value] = self.totals.get(value, 0) + amount
        else:
            del self.nodes[value], self.totals[value]


class Groups:
    """All nodes of a snapshot as ``pod``, and every pod like it, sees them; ``wanted`` tallies tell groups apart."""

    def __init__(self, pod: PodInfo, snapshot: Snapshot, wanted: Mapping[Name, Tally]) -> None:
        self.groups: dict[GroupKey, Group] = {}
        self.refused: Counter[Refusal] = Counter()
        self.places: list[Bucket | Refusal | None] = []
        self.positions = array("i")
        """Where in its bucket each slot is."""
        self.sums = {name: Sums(tally) for name, tally in wanted.items()}
        self._all_sums = list(self.sums.values())
        self._pod = pod
        self._snapshot = snapshot
        self._world = World(snapshot, pod)
        self._version = 0
        self._nodes: list[NodeInfo | None] = []
        self._fixed: list[Refusal | scores.Traits | None] = []
        self._alike: dict[Refusal | scores.Traits, Refusal | scores.Traits] = {}

    def catch_up(self) -> None:
        """Sort in what changed since the last time."""
        snapshot = self._snapshot
        changed = snapshot.changed_since(self._version)
        if not changed:
            return
        self._version = snapshot.version
        self._make_room(len(snapshot.slots))
        moved: set[int] = set()
        for slot in changed:
            self._tally(slot, moved)
        for slot in changed:
            self._place(slot)
        for slot in moved.difference(changed):
            self._place(slot)

    def node(self, slot: int) -> NodeInfo:
        node = self._nodes[slot]
        assert node is not None
        return node

    def _make_room(self, slots: int) -> None:
        more = slots - len(self.places)
        self._nodes.extend([None] * more)
        self.places.extend([None] * more)
        self._fixed.extend([None] * more)
        self.positions.extend([0] * more)
        for sums in self._all_sums:
            sums.make_room(slots)

    def _tally(self, slot: int, moved: set[int]) -> None:
        """Count the slot's node anew; ``moved`` takes the slots of the same host, whose group may change by that."""
        node, before = self._snapshot.slots[slot], self._nodes[slot]
        replaced = node is not before
        if replaced:
            self._nodes[slot] = node
            self._fixed[slot] = None if node is None else self._fixed_of(node)
        for sums in self._all_sums:
            if sums.update(slot, node, replaced) and sums.by_host:
                hosts = [some.labels[HOST] for some in (node, before) if some is not None and HOST in some.labels]
                moved.update(*map(self._snapshot.of_host, hosts))

    def _fixed_of(self, node: NodeInfo) -> Refusal | scores.Traits:
        """What about a node does not depend on its pods; one object for all nodes that are alike."""
        refusal = first_refusal(filters.FIXED, self._pod, node, self._world)
        found = refusal if refusal is not None else scores.traits(self._pod, node)
        return self._alike.setdefault(found, found)

    def _place(self, slot: int) -> None:
        """Put the slot where its node belongs now."""
        node, fixed, place = self._nodes[slot], self._fixed[slot], self.places[slot]
        if node is None or fixed is None:
            self._leave(slot, place)
            return
        refusal = fixed if isinstance(fixed, Refusal) else first_refusal(filters.CHANGING, self._pod, node, self._world)
        if refusal is not None:
            self._leave(slot, place)
            self.places[slot] = refusal
            self.refused[refusal] += 1
            return
        key = (fixed, *[sums.trait(slot, node) for sums in self._all_sums])
        local = scores.local(self._pod, node)
        if isinstance(place, Bucket) and place.local == local and place.group.key == key:
            return
        self._leave(slot, place)
        self._enter(slot, key, local)

    def _leave(self, slot: int, place: Bucket | Refusal | None) -> None:
        self.places[slot] = None
        if place is None:
            return
        if isinstance(place, Refusal):
            self.refused[place] -= 1
            if not self.refused[place]:
                del self.refused[place]
            return
        last, position = place.slots.pop(), self.positions[slot]
        if last != slot:
            place.slots[position] = last
            self.positions[last] = position
        group = place.group
        group.size -= 1
        if not place.slots:
            del group.buckets[place.local]
            if not group.size:
                del self.groups[group.key]

    def _enter(self, slot: int, key: GroupKey, local: int) -> None:
        group = self.groups.get(key)
        if group is None:
            group = self.groups[key] = Group(key)
        bucket = group.buckets.get(local)
        if bucket is None:
            bucket = group.buckets[local] = Bucket(group, local)
        self.places[slot] = bucket
        self.positions[slot] = len(bucket.slots)
        bucket.slots.append(slot)
        group.size += 1
