"""Prefer domains with fewer pods like this one (PodTopologySpread).

By the pod's own soft constraints; a pod without any is spread over hosts and zones among its owner's pods, as the
default constraints of the profile have it (maxSkew 3 by host, 5 by zone). A domain's pods weigh more where there are
more domains. Nodes that lack a label of the pod's own constraints score 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from picluster.scheduler.model import HOST, NodeInfo, PodInfo
from picluster.scheduler.world import SIBLINGS, ZONE, Name, World

DEFAULTS: tuple[tuple[str, int, Name], ...] = ((HOST, 3, (SIBLINGS, HOST)), (ZONE, 5, (SIBLINGS, ZONE)))


def score(pod: PodInfo, nodes: Sequence[NodeInfo], world: World) -> list[int]:
    constraints = _constraints(pod)
    if not constraints:
        return [0] * len(nodes)
    complete = [not pod.spread or all(key in node.labels for key, _, _ in constraints) for node in nodes]
    among = [node for node, whole in zip(nodes, complete, strict=True) if whole]
    raw = [0.0] * len(nodes)
    for key, max_skew, name in constraints:
        counts, weight = world.count(name), math.log(_domains(key, among, world) + 2)
        for i, node in enumerate(nodes):
            value = node.labels.get(key)
            if value is not None:
                raw[i] += counts.get(value, 0) * weight + (max_skew - 1)
    return _normalized([round(value) if whole else None for value, whole in zip(raw, complete, strict=True)])


def _constraints(pod: PodInfo) -> Sequence[tuple[str, int, Name]]:
    """Topology key, maxSkew and tally of each."""
    if not pod.spread:
        return DEFAULTS if pod.owner_uid else ()
    return [(entry.topology_key, entry.max_skew, ("spread", i)) for i, entry in enumerate(pod.spread) if not entry.hard]


def _domains(key: str, nodes: Sequence[NodeInfo], world: World) -> int:
    if key == HOST:
        return sum(map(world.size, nodes))
    return len({node.labels[key] for node in nodes if key in node.labels})


def _normalized(raw: Sequence[int | None]) -> list[int]:
    known = [value for value in raw if value is not None]
    highest, lowest = max(known, default=0), min(known, default=0)
    if highest == 0:
        return [0 if value is None else 100 for value in raw]
    return [0 if value is None else 100 * (highest + lowest - value) // highest for value in raw]
