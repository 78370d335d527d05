"""PodTopologyLabels: a pod that is bound gets the zone and the region of its node as labels.

Source: KEP-4742, ``plugin/pkg/admission/podtopologylabels``. The binding carries them to the pod, whose own labels win.
"""

from __future__ import annotations

from picluster.api.resources import NODES, PODS, Resource
from picluster.apiserver.admission.chain import CREATE, Attributes
from picluster.apiserver.cache.watchcache import WatchCache

LABELS = ("topology.kubernetes.io/zone", "topology.kubernetes.io/region")


class PodTopologyLabels:
    name = "PodTopologyLabels"

    def __init__(self, cache: WatchCache) -> None:
        self._cache = cache

    def concerns(self, resource: Resource, subresource: str, operation: str) -> bool:
        return resource is PODS and subresource == "binding" and operation == CREATE

    async def admit(self, attributes: Attributes) -> None:
        binding = attributes.obj
        assert binding is not None
        target = binding.get("target") or {}
        if target.get("kind", "Node") != "Node":
            return
        node = self._cache.get(NODES, "", target.get("name") or "")
        found = {key: node.labels[key] for key in LABELS if key in node.labels} if node and node.labels else {}
        if found:
            metadata = binding.setdefault("metadata", {})
            metadata["labels"] = found | (metadata.get("labels") or {})
