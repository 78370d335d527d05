"""Required affinity and anti-affinity between pods, the existing pods' included (InterPodAffinity)."""

from __future__ import annotations

from picluster.scheduler.model import NodeInfo, PodInfo
from picluster.scheduler.refusal import Refusal
from picluster.scheduler.world import World

_EXISTING = Refusal(("node(s) didn't satisfy existing pods anti-affinity rules",))
_AFFINITY = Refusal(("node(s) didn't match pod affinity rules",), final=True)
_ANTI = Refusal(("node(s) didn't match pod anti-affinity rules",))


def check(pod: PodInfo, node: NodeInfo, world: World) -> Refusal | None:
    if not _affinity_holds(pod, node, world):
        return _AFFINITY
    if any(world.at(("anti", i), node) for i in range(len(pod.anti_affinity))):
        return _ANTI
    if any(name[0] == "existing" and world.at(name, node) for name in world.tallies):
        return _EXISTING
    return None


def _affinity_holds(pod: PodInfo, node: NodeInfo, world: World) -> bool:
    """Every term has a match in the node's domain; the first pod of a group, that only matches itself, may start it."""
    missing = False
    for i, term in enumerate(pod.affinity):
        if term.topology_key not in node.labels:
            return False
        missing = missing or not world.at(("affinity", i), node)
    if not missing:
        return True
    nowhere = not any(world.most(("affinity", i)) for i in range(len(pod.affinity)))
    return nowhere and all(term.matches(pod) for term in pod.affinity)
