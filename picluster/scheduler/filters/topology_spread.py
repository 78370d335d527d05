"""Hard topology spread constraints: no domain may run ahead of the emptiest by more than ``maxSkew``
(PodTopologySpread)."""

from __future__ import annotations

from picluster.scheduler.model import NodeInfo, PodInfo
from picluster.scheduler.refusal import Refusal
from picluster.scheduler.world import World

_SKEW = Refusal(("node(s) didn't match pod topology spread constraints",))
_LABEL = Refusal(("node(s) didn't match pod topology spread constraints (missing required label)",), final=True)


def check(pod: PodInfo, node: NodeInfo, world: World) -> Refusal | None:
    for i, constraint in enumerate(pod.spread):
        if not constraint.hard:
            continue
        value = node.labels.get(constraint.topology_key)
        if value is None:
            return _LABEL
        counts = world.count(("spread", i))
        own = constraint.selector is not None and constraint.selector.matches(pod.labels)
        least = world.least(("spread", i)) if len(counts) >= constraint.min_domains else 0
        if counts.get(value, 0) + own - least > constraint.max_skew:
            return _SKEW
    return None
