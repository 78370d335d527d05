"""Follows claims and volumes once a pod has any, and writes what was decided about them.

Nothing of it is watched while no pod has a claim: the first that comes to be placed starts the informers, which keep
little of each object. Before a pod with claims is bound, its volumes are: the scheduler reserves a volume for each
claim (or writes the chosen node on it, for whoever makes volumes), and waits until the controllers have finished the
binding.
A pod whose volumes do not come in ten minutes, or whose claim was taken from its node meanwhile, is decided anew.
Source: ``BindPodVolumes`` in ``pkg/scheduler/framework/plugins/volumebinding/binder.go``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

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
from picluster.api.types import Object
from picluster.client import Client, Informer
from picluster.scheduler.volumes import RESOURCES, Plan, Volumes, fits, revision
from picluster.util.tasks import Tasks

SYNC_TIMEOUT_S = 5.0
BIND_TIMEOUT_S = 600.0
_METADATA = ("name", "namespace", "uid", "resourceVersion", "deletionTimestamp", "labels", "ownerReferences")
_ANNOTATIONS = (
    binding.BIND_COMPLETED, binding.BOUND_BY_CONTROLLER, binding.SELECTED_NODE, binding.CLASS_ANNOTATION,
)  # fmt: skip
_KEPT: dict[str, tuple[str, ...]] = {
    PERSISTENT_VOLUME_CLAIMS.id: (
        "accessModes", "resources", "selector", "storageClassName", "volumeMode", "volumeName",
        "volumeAttributesClassName",
    ),
    PERSISTENT_VOLUMES.id: (
        "accessModes", "capacity", "claimRef", "csi", "nodeAffinity", "storageClassName", "volumeMode",
        "volumeAttributesClassName",
    ),
    STORAGE_CLASSES.id: ("provisioner", "volumeBindingMode", "allowedTopologies"),
    CSI_NODES.id: ("drivers",),
    CSI_DRIVERS.id: ("storageCapacity",),
    CSI_STORAGE_CAPACITIES.id: ("storageClassName", "capacity", "maximumVolumeSize", "nodeTopology"),
}  # fmt: skip


class NotBound(Exception):
    """A pod's volumes are not where it was to run; the message says why, as upstream does."""


class VolumeBinder:
    """``changed`` is called with every change that may help a pod."""

    def __init__(self, client: Client, volumes: Volumes, changed: Callable[[], None]) -> None:
        self._client = client
        self._volumes = volumes
        self._changed = changed
        self._informers: list[Informer] = []
        self._tasks = Tasks("volumes of the scheduler")
        self._turn = asyncio.Event()

    async def close(self) -> None:
        await self._tasks.close()

    async def ready(self) -> bool:
        """Whether claims and volumes are known; the first call begins to follow them, and waits a moment for it."""
        if not self._informers:
            for resource in RESOURCES:
                informer = Informer(self._client, resource, transform=slimmer(resource))
                informer.add_handler(self._follow(resource))
                self._tasks.spawn(informer.run(), resource.id)
                self._informers.append(informer)
            self._tasks.spawn(self._tell_when_synced(), "first sync")
        if all(informer.synced for informer in self._informers):
            return True
        try:
            async with asyncio.timeout(SYNC_TIMEOUT_S):
                await self._synced()
        except TimeoutError:
            return False
        return True

    async def _synced(self) -> None:
        for informer in self._informers:
            await informer.wait_synced()

    async def _tell_when_synced(self) -> None:
        """Who could not wait for it was put aside."""
        await self._synced()
        self._changed()

    def wake(self) -> None:
        """Have those that wait look again: a volume has changed, or a pod or a node has gone."""
        turn, self._turn = self._turn, asyncio.Event()
        turn.set()

    def _follow(self, resource: Resource) -> Callable[[Object | None, Object | None], None]:
        def on_change(old: Object | None, new: Object | None) -> None:
            self._volumes.set(resource, old, new)
            self.wake()
            self._changed()

        return on_change

    async def write(self, plan: Plan, node: str) -> dict[str, int]:
        """Reserve volumes and choose nodes; raises as the client does. The revision of each claim as it is then."""
        for claim, volume in plan.bindings:
            await self._reserve(volume, claim)
        revisions = {key_of(claim): revision(claim) for claim, _ in plan.bindings}
        for claim in plan.provisions:
            metadata = claim["metadata"]
            patch = {"metadata": {"uid": metadata["uid"], "annotations": {binding.SELECTED_NODE: node}}}
            written = await self._client.patch(
                PERSISTENT_VOLUME_CLAIMS, metadata["name"], patch, namespace=metadata["namespace"]
            )
            revisions[key_of(claim)] = revision(written)
        return revisions

    async def _reserve(self, volume: Object, claim: Object) -> None:
        """Refused when the volume is not any more what it was when it was chosen."""
        wanted = binding.reserved(volume, claim)
        if wanted is volume:
            return
        metadata: dict[str, Any] = {"resourceVersion": volume["metadata"]["resourceVersion"]}
        if binding.BOUND_BY_CONTROLLER in binding.annotations_of(wanted):
            metadata["annotations"] = {binding.BOUND_BY_CONTROLLER: "yes"}
        patch = {"metadata": metadata, "spec": {"claimRef": wanted["spec"]["claimRef"]}}
        await self._client.patch(PERSISTENT_VOLUMES, volume["metadata"]["name"], patch)

    async def wait(
        self,
        plan: Plan,
        node: str,
        revisions: dict[str, int],
        labels: Callable[[], dict[str, str] | None],
        wanted: Callable[[], bool],
    ) -> None:
        """Until every claim has its volume; raises ``NotBound``. ``labels`` are the node's, ``wanted`` says whether the
        pod is there still."""
        try:
            async with asyncio.timeout(BIND_TIMEOUT_S):
                while not all(self._is_settled(claim, plan, node, revisions, labels()) for claim in plan.claims):
                    turn = self._turn
                    await turn.wait()
                    if not wanted():
                        raise NotBound("pod does not exist any more")
        except TimeoutError:
            raise NotBound("binding volumes: context deadline exceeded") from None

    def _is_settled(
        self, claim: Object, plan: Plan, node: str, revisions: dict[str, int], labels: dict[str, str] | None
    ) -> bool:
        key = key_of(claim)
        name = claim["metadata"]["name"]
        now = self._volumes.claim(key)
        if now is None or now["metadata"]["uid"] != claim["metadata"]["uid"]:
            raise NotBound(f'binding volumes: persistentvolumeclaim "{name}" not found')
        if labels is None:
            raise NotBound(f'binding volumes: node "{node}" not found')
        if revision(now) < revisions[key]:
            return False
        chosen = binding.annotations_of(now).get(binding.SELECTED_NODE)
        if claim in plan.provisions and chosen != node:
            raise NotBound(f'binding volumes: provisioning failed for PVC "{name}"')
        if not binding.is_fully_bound(now):
            return False
        volume = self._volumes.volume(now["spec"]["volumeName"])
        if volume is None:
            return False
        if not fits(volume, labels):
            raise NotBound(
                f'binding volumes: pv "{volume["metadata"]["name"]}" node affinity doesn\'t match node "{node}"'
            )
        return True


def slimmer(resource: Resource) -> Callable[[Object], Object]:
    """Keeps of an object what placing pods needs; its kind is in its place. PURE."""
    kept = _KEPT[resource.id]

    def slim(obj: Object) -> Object:
        metadata = {key: obj["metadata"][key] for key in _METADATA if key in obj["metadata"]}
        said = binding.annotations_of(obj)
        if notes := {key: said[key] for key in _ANNOTATIONS if key in said}:
            metadata["annotations"] = notes
        slim = {"metadata": metadata, **{key: obj[key] for key in kept if key in obj}}
        if "spec" in obj:
            slim["spec"] = {key: obj["spec"][key] for key in kept if key in obj["spec"]}
        if phase := (obj.get("status") or {}).get("phase"):
            slim["status"] = {"phase": phase}
        return slim

    return slim
