"""Which of the nodes that can take a pod should: one file per score, with the weights of Kubernetes' default profile.

A score is a whole number of 0 to 100 per node, higher is better, as in Kubernetes: what differs by less than one in a
hundred is a tie. PURE.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from picluster.scheduler.model import NodeInfo, PodInfo
from picluster.scheduler.scores import (
    balanced,
    image_locality,
    interpod_affinity,
    least_allocated,
    node_affinity,
    taints,
    topology_spread,
)
from picluster.scheduler.world import World

RelativeScore = Callable[[PodInfo, Sequence[NodeInfo], World], list[int]]

RELATIVE: tuple[tuple[RelativeScore, int], ...] = (
    (taints.score, 3),
    (node_affinity.score, 2),
    (topology_spread.score, 2),
    (interpod_affinity.score, 2),
    (image_locality.score, 1),
)
"""Values are normalised over the nodes that are left, or depend on where other pods are."""

Traits = tuple[int, int, tuple[int, ...]]


def traits(pod: PodInfo, node: NodeInfo) -> Traits:
    """What the relative scores look at besides labels in tallies: nodes alike in these score alike."""
    return taints.raw(pod, node), node_affinity.raw(pod, node), image_locality.raw(pod, node)


def local(pod: PodInfo, node: NodeInfo) -> int:
    """The scores for which nothing but the node matters, each of weight 1."""
    return least_allocated.score(pod, node) + balanced.score(pod, node)
