"""A volume that says by its labels in which zones and regions it is goes to a node there (VolumeZone)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from picluster.scheduler.model import NodeInfo, PodInfo
from picluster.scheduler.refusal import Refusal
from picluster.scheduler.volumes import Volumes
from picluster.scheduler.world import World

TOPOLOGY = {
    "failure-domain.beta.kubernetes.io/zone": "topology.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region": "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone": "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region": "topology.kubernetes.io/region",
}
"""The labels, and what the old ones are called now."""
SEVERAL = "__"
_REFUSAL = Refusal(("node(s) had no available volume zone",), final=True)


def check(pod: PodInfo, node: NodeInfo, world: World) -> Refusal | None:
    if not pod.claims or TOPOLOGY.keys().isdisjoint(node.labels):
        return None
    for key, values in _wanted(pod, world.snapshot.volumes):
        if _value(node.labels, key) not in values:
            return _REFUSAL
    return None


def _wanted(pod: PodInfo, volumes: Volumes) -> Iterator[tuple[str, list[str]]]:
    for claim in volumes.claims(pod).bound:
        volume = volumes.volume(claim["spec"]["volumeName"])
        labels = (volume or {"metadata": {}})["metadata"].get("labels") or {}
        for key in TOPOLOGY.keys() & labels.keys():
            yield key, labels[key].split(SEVERAL)


def _value(labels: Mapping[str, str], key: str) -> str | None:
    return labels.get(key, labels.get(TOPOLOGY[key]))
