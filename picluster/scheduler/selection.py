"""Whether a node is one that a pod asks for. PURE."""

from __future__ import annotations

from picluster.api.selectors.nodes import matches_any
from picluster.scheduler.model import NodeInfo, PodInfo


def wanted_by(pod: PodInfo, node: NodeInfo) -> bool:
    """Whether ``node`` is one that the pod's ``nodeSelector`` and required node affinity ask for."""
    if any(node.labels.get(key) != value for key, value in pod.node_selector.items()):
        return False
    return pod.required_affinity is None or matches_any(pod.required_affinity, node.labels, node.name)
