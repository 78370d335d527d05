"""What a pod requests must be left on the node (NodeResourcesFit)."""

from __future__ import annotations

from picluster.scheduler.model import NodeInfo, PodInfo
from picluster.scheduler.refusal import Refusal
from picluster.scheduler.world import World


def check(pod: PodInfo, node: NodeInfo, world: World) -> Refusal | None:
    if len(node.pods) < node.pods_max:
        requested, allocatable = node.requested, node.allocatable
        for name, wanted in pod.requests.items():
            if wanted > allocatable.get(name, 0) - requested.get(name, 0) and wanted > 0:
                break
        else:
            return None
    return _refusal(pod, node)


def _refusal(pod: PodInfo, node: NodeInfo) -> Refusal:
    """Everything of which there is too little; final if the node would be too small even when empty."""
    reasons, final = [], False
    if len(node.pods) >= node.pods_max:
        reasons.append("Too many pods")
    for name, wanted in pod.requests.items():
        allocatable = node.allocatable.get(name, 0)
        if wanted > 0 and node.requested.get(name, 0) + wanted > allocatable:
            reasons.append(f"Insufficient {name}")
            final = final or wanted > allocatable
    return Refusal(tuple(reasons), final)
