"""Claims, volumes and what is said about drivers, as far as placing pods needs it, kept up to date. PURE.

What the loop has decided but the API server has not told yet is *assumed*: a volume that a pod's claim is to get
counts as the claim's at once, and a claim for which a node was chosen has it. An assumption ends when it is taken back,
or when a newer version of the object comes by the watch. Source: ``pkg/scheduler/framework/plugins/volumebinding``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from picluster.api import volumebinding as binding
from picluster.api.meta import key_of
from picluster.api.resources import (
    CSI_DRIVERS,
    CSI_NODES,
    CSI_STORAGE_CAPACITIES,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    STORAGE_CLASSES,
    Resource,
)
from picluster.api.selectors.nodes import matches_any
from picluster.api.types import Object
from picluster.scheduler.model import PodInfo

RESOURCES = (
    PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, STORAGE_CLASSES, CSI_NODES, CSI_DRIVERS, CSI_STORAGE_CAPACITIES,
)  # fmt: skip
UNBOUND = "pod has unbound immediate PersistentVolumeClaims"


class Claims(NamedTuple):
    """A pod's claims: those that have their volumes, and those that get one when the pod has its node."""

    bound: tuple[Object, ...]
    delayed: tuple[Object, ...]


class Plan(NamedTuple):
    """What is to be written before a pod can be bound: volumes for claims, and claims for which the node is chosen."""

    bindings: tuple[tuple[Object, Object], ...] = ()
    """``(claim, volume)``"""
    provisions: tuple[Object, ...] = ()

    @property
    def claims(self) -> Iterator[Object]:
        yield from (claim for claim, _ in self.bindings)
        yield from self.provisions


class Volumes:
    def __init__(self) -> None:
        self._known: dict[str, dict[str, Object]] = {resource.id: {} for resource in RESOURCES}
        self._assumed: dict[tuple[str, str], Object] = {}

    def set(self, resource: Resource, old: Object | None, new: Object | None) -> None:
        """What the watch says; newer than what was assumed."""
        obj = new if new is not None else old
        assert obj is not None
        key = key_of(obj)
        assumed = self._assumed.get((resource.id, key))
        if assumed is not None and (new is None or revision(new) > revision(assumed)):
            del self._assumed[resource.id, key]
        if new is None:
            self._known[resource.id].pop(key, None)
        else:
            self._known[resource.id][key] = new

    def claim(self, key: str) -> Object | None:
        return self._get(PERSISTENT_VOLUME_CLAIMS, key)

    def volume(self, name: str) -> Object | None:
        return self._get(PERSISTENT_VOLUMES, name)

    def volumes(self) -> Iterator[Object]:
        for name, volume in self._known[PERSISTENT_VOLUMES.id].items():
            yield self._assumed.get((PERSISTENT_VOLUMES.id, name), volume)

    def storage_class(self, name: str) -> Object | None:
        return self._known[STORAGE_CLASSES.id].get(name)

    def csi_node(self, name: str) -> Object | None:
        return self._known[CSI_NODES.id].get(name)

    def csi_driver(self, name: str) -> Object | None:
        return self._known[CSI_DRIVERS.id].get(name)

    def capacities(self) -> Iterator[Object]:
        yield from self._known[CSI_STORAGE_CAPACITIES.id].values()

    def _get(self, resource: Resource, key: str) -> Object | None:
        return self._assumed.get((resource.id, key)) or self._known[resource.id].get(key)

    def obstacle(self, pod: PodInfo) -> str | None:
        """Why the pod can go nowhere for now, whatever nodes there are (the plugins' ``PreFilter``)."""
        for name, ephemeral in pod.claims:
            claim = self.claim(f"{pod.namespace}/{name}")
            why = _missing(name, ephemeral=ephemeral) if claim is None else _unusable(claim, pod, ephemeral=ephemeral)
            if why is not None:
                return why
        for claim in self._claims(pod):
            if not binding.is_fully_bound(claim) and not self._is_delayed(claim):
                return UNBOUND
        for claim in self._claims(pod):
            volume = claim["spec"].get("volumeName")
            if volume and self.volume(volume) is None:
                return f'persistentvolume "{volume}" not found'
        return None

    def claims(self, pod: PodInfo) -> Claims:
        """Of a pod that has no ``obstacle``."""
        found = list(self._claims(pod))
        bound = tuple(claim for claim in found if binding.is_fully_bound(claim))
        delayed = [claim for claim in found if not binding.is_fully_bound(claim)]
        return Claims(bound, tuple(sorted(delayed, key=binding.requested_size)))

    def _claims(self, pod: PodInfo) -> Iterator[Object]:
        for name in dict.fromkeys(mount.claim for mount in pod.claims):
            claim = self.claim(f"{pod.namespace}/{name}")
            if claim is not None:
                yield claim

    def _is_delayed(self, claim: Object) -> bool:
        """Whether its volume waits for a pod's node; a claim that names a volume does not."""
        storage_class = self.storage_class(binding.class_of(claim))
        return not claim["spec"].get("volumeName") and binding.waits_for_consumer(storage_class)

    def assume(self, plan: Plan, node: str) -> None:
        for claim, volume in plan.bindings:
            self._assumed[PERSISTENT_VOLUMES.id, volume["metadata"]["name"]] = binding.reserved(volume, claim)
        for claim in plan.provisions:
            chosen = binding.annotated(claim, {binding.SELECTED_NODE: node})
            self._assumed[PERSISTENT_VOLUME_CLAIMS.id, key_of(claim)] = chosen

    def forget(self, plan: Plan) -> None:
        """Undo ``assume``; what was written meanwhile is the watch's to tell."""
        for _, volume in plan.bindings:
            self._assumed.pop((PERSISTENT_VOLUMES.id, volume["metadata"]["name"]), None)
        for claim in plan.provisions:
            self._assumed.pop((PERSISTENT_VOLUME_CLAIMS.id, key_of(claim)), None)


def fits(volume: Object, labels: dict[str, str]) -> bool:
    """Whether the volume's node affinity lets a node with ``labels`` use it."""
    required = (volume["spec"].get("nodeAffinity") or {}).get("required")
    return required is None or matches_any(required.get("nodeSelectorTerms") or (), labels, "")


def revision(obj: Object) -> int:
    return int(obj["metadata"].get("resourceVersion") or 0)


def _missing(name: str, *, ephemeral: bool) -> str:
    if ephemeral:
        return f'waiting for ephemeral volume controller to create the persistentvolumeclaim "{name}"'
    return f'persistentvolumeclaim "{name}" not found'


def _unusable(claim: Object, pod: PodInfo, *, ephemeral: bool) -> str | None:
    metadata = claim["metadata"]
    if (claim.get("status") or {}).get("phase") == "Lost":
        lost = claim["spec"].get("volumeName", "")
        return f'persistentvolumeclaim "{metadata["name"]}" bound to non-existent persistentvolume "{lost}"'
    if metadata.get("deletionTimestamp"):
        return f'persistentvolumeclaim "{metadata["name"]}" is being deleted'
    owners = metadata.get("ownerReferences") or ()
    if ephemeral and not any(owner.get("controller") and owner.get("uid") == pod.uid for owner in owners):
        return f"PVC {key_of(claim)} was not created for pod {pod.key} (pod is not owner)"
    return None
