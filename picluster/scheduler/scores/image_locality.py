"""Prefer nodes that have the images already; a large image that few nodes have counts less (ImageLocality)."""

from __future__ import annotations

from collections.abc import Sequence

from picluster.scheduler.model import NodeInfo, PodInfo
from picluster.scheduler.world import World

MIB = 1024 * 1024
LEAST_BYTES = 23 * MIB
MOST_BYTES_PER_CONTAINER = 1000 * MIB


def score(pod: PodInfo, nodes: Sequence[NodeInfo], world: World) -> list[int]:
    total = len(world.snapshot.nodes) or 1
    shares = [world.snapshot.image_nodes.get(image, 0) / total for image in pod.images]
    most = MOST_BYTES_PER_CONTAINER * max(len(pod.images), 1)
    values = []
    for node in nodes:
        held = sum(int(size * share) for size, share in zip(raw(pod, node), shares, strict=True))
        values.append(100 * (min(max(held, LEAST_BYTES), most) - LEAST_BYTES) // (most - LEAST_BYTES))
    return values


def raw(pod: PodInfo, node: NodeInfo) -> tuple[int, ...]:
    """Bytes of each of the pod's images that the node has."""
    return tuple(node.images.get(image, 0) for image in pod.images)
