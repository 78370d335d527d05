"""Binds claims and volumes to each other, and releases volumes (``pkg/controller/volume/persistentvolume``).

A binding is two pointers in two objects, written one after the other: first the volume says whose it is, then its
phase, then the claim says what it has, then its status. Whoever dies in between leaves a state that the next look
completes, and since every write is refused when its object has changed, two claims never share a volume. Volumes of
classes that wait for a consumer are bound by the scheduler, which reserves one for the claim and leaves the rest to
this controller.
"""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from picluster.api import volumebinding as binding
from picluster.api.errors import ApiError
from picluster.api.meta import key_of
from picluster.api.resources import PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, PODS, STORAGE_CLASSES
from picluster.api.types import Object
from picluster.controllers.persistentvolume_steps import (
    EXTERNAL,
    AssignClass,
    Bind,
    Lose,
    Provision,
    Reclaim,
    Said,
    Stay,
    View,
    VolumeStep,
    bound_status,
    claim_step,
    reclaim,
    unbound,
    unbound_status,
    volume_step,
)
from picluster.controllers.shared import indexes, pods
from picluster.controllers.shared.ahead import Ahead
from picluster.runtime import Controller, Manager

WAITING_AGAIN_S = 300.0
"""When a claim that waits is looked at again without any change: its events say then that it still does."""
CLAIM, VOLUME = "claim:", "volume:"


class PersistentVolumeBinder(Controller):
    """Keys are ``claim:<namespace>/<name>`` and ``volume:<name>``; one worker, so that no two claims race."""

    name = "persistentvolume-controller"
    workers = 1

    def setup(self, manager: Manager) -> None:
        claims, volumes = manager.informer(PERSISTENT_VOLUME_CLAIMS), manager.informer(PERSISTENT_VOLUMES)
        self._claims, self._volumes = Ahead(claims), Ahead(volumes)
        self._classes = manager.informer(STORAGE_CLASSES)
        self._pods = manager.informer(PODS)
        indexes.by_claim(self._pods)
        claims.add_handler(self._on_claim)
        volumes.add_handler(self._on_volume)
        self._classes.add_handler(self._on_class)

    def _on_claim(self, old: Object | None, new: Object | None) -> None:
        if new is not None:
            self.queue.add(CLAIM + key_of(new))
        elif old is not None and (name := old["spec"].get("volumeName")):
            self.queue.add(VOLUME + name)

    def _on_volume(self, old: Object | None, new: Object | None) -> None:
        volume = new if new is not None else old
        assert volume is not None
        reference, name = volume["spec"].get("claimRef"), volume["metadata"]["name"]
        if new is not None:
            self.queue.add(VOLUME + name)
        if reference is not None:
            self.queue.add(f"{CLAIM}{reference.get('namespace')}/{reference.get('name')}")
        for claim in self._unbound():
            asked = claim["spec"].get("volumeName")
            if asked == name or not (asked or reference or binding.class_of(claim) != binding.class_of(volume)):
                self.queue.add(CLAIM + key_of(claim))

    def _on_class(self, old: Object | None, new: Object | None) -> None:
        name = new["metadata"]["name"] if new is not None else None
        for claim in self._unbound():
            if binding.class_of(claim) in ("", name):
                self.queue.add(CLAIM + key_of(claim))

    def _unbound(self) -> list[Object]:
        return [claim for claim in self._claims.values() if not binding.is_fully_bound(claim)]

    async def reconcile(self, key: str) -> float | None:
        if key.startswith(CLAIM):
            claim = self._claims.get(key.removeprefix(CLAIM))
            return None if claim is None else await self._sync_claim(claim)
        volume = self._volumes.get(key.removeprefix(VOLUME))
        if volume is not None:
            await self._sync_volume(volume)
        return None

    async def _sync_claim(self, claim: Object) -> float | None:
        match claim_step(claim, self._view()):
            case Bind(volume):
                await self._bind(volume, claim)
            case Lose(said):
                await self._lose(claim, said)
            case AssignClass(name):
                spec = {**claim["spec"], "storageClassName": name}
                self._claims.wrote(await self.client.update(PERSISTENT_VOLUME_CLAIMS, {**claim, "spec": spec}))
            case Provision(provisioner):
                await self._ask(claim, provisioner)
                return WAITING_AGAIN_S
            case Stay(said):
                if said is not None:
                    self.recorder.event(claim, *said)
                await self._claim_status(claim, unbound_status(claim, "Pending"))
                return WAITING_AGAIN_S
        return None

    def _view(self) -> View:
        classes = {found["metadata"]["name"]: found for found in self._classes.values()}
        return View(self._volumes.get, lambda: list(self._volumes.values()), classes, self._waiting)

    def _waiting(self, claim: Object) -> list[str]:
        users = self._pods.index(indexes.CLAIM, key_of(claim))
        return [pod["metadata"]["name"] for pod in users if not pods.is_finished(pod) and not pods.node_name(pod)]

    async def _bind(self, volume: Object, claim: Object) -> None:
        kept = binding.reserved(volume, claim)
        if kept is not volume:
            volume = await self.client.update(PERSISTENT_VOLUMES, kept)
            self._volumes.wrote(volume)
        await self._phase(volume, "Bound")
        marked = _marked(claim, volume["metadata"]["name"])
        if marked is not claim:
            claim = await self.client.update(PERSISTENT_VOLUME_CLAIMS, marked)
            self._claims.wrote(claim)
        await self._claim_status(claim, bound_status(claim, volume))

    async def _lose(self, claim: Object, said: Said) -> None:
        """For good, so not because a cache is behind."""
        if (claim.get("status") or {}).get("phase") == "Lost":
            return
        name = claim["spec"].get("volumeName")
        volume = await self._live(name) if name else None
        if volume is not None and binding.is_for(volume, claim):
            await self._bind(volume, claim)
            return
        await self._claim_status(claim, unbound_status(claim, "Lost"))
        self.recorder.event(claim, *said)

    async def _ask(self, claim: Object, provisioner: str) -> None:
        asked = {binding.STORAGE_PROVISIONER_BETA: provisioner, binding.STORAGE_PROVISIONER: provisioner}
        said = binding.annotations_of(claim)
        if any(said.get(name) != value for name, value in asked.items()):
            claim = await self.client.update(PERSISTENT_VOLUME_CLAIMS, binding.annotated(claim, asked))
            self._claims.wrote(claim)
        self.recorder.event(claim, "Normal", "ExternalProvisioning", EXTERNAL.format(provisioner))

    async def _sync_volume(self, volume: Object) -> None:
        claim = await self._claim_of(volume)
        match volume_step(volume, claim):
            case VolumeStep.AVAILABLE:
                await self._phase(volume, "Available")
            case VolumeStep.BOUND:
                await self._phase(volume, "Bound")
            case VolumeStep.FINISH if claim is not None:
                self.queue.add(CLAIM + key_of(claim))
            case VolumeStep.MISFIT if claim is not None:
                self._say_misfit(volume, claim)
            case VolumeStep.RELEASED:
                await self._release(volume)
            case VolumeStep.UNBIND:
                freed = await self.client.update(PERSISTENT_VOLUMES, unbound(volume))
                self._volumes.wrote(freed)
                await self._phase(freed, "Available")

    async def _claim_of(self, volume: Object) -> Object | None:
        """The very claim that the volume says, asked for where a cache that is behind would cost data."""
        reference = volume["spec"].get("claimRef") or {}
        if not reference.get("uid"):
            return None
        namespace, name = reference["namespace"], reference["name"]
        claim = self._claims.get(f"{namespace}/{name}")
        if claim is None or claim["metadata"]["uid"] != reference["uid"]:
            if claim is None and (volume.get("status") or {}).get("phase") in ("Released", "Failed"):
                return None
            try:
                claim = await self.client.get(PERSISTENT_VOLUME_CLAIMS, name, namespace=namespace)
            except ApiError as error:
                if error.code != 404:
                    raise
                return None
        return claim if claim["metadata"]["uid"] == reference["uid"] else None

    async def _live(self, name: str) -> Object | None:
        try:
            return await self.client.get(PERSISTENT_VOLUMES, name)
        except ApiError as error:
            if error.code != 404:
                raise
            return None

    def _say_misfit(self, volume: Object, claim: Object) -> None:
        mine, its = volume["metadata"]["name"], claim["metadata"]["name"]
        why = "due to incompatible volumeMode."
        message = f'Cannot bind PersistentVolume to requested PersistentVolumeClaim "{its}" {why}'
        self.recorder.event(volume, "Warning", "VolumeMismatch", message)
        message = f'Cannot bind PersistentVolume "{mine}" to requested PersistentVolumeClaim {why}'
        self.recorder.event(claim, "Warning", "VolumeMismatch", message)

    async def _release(self, volume: Object) -> None:
        if (volume.get("status") or {}).get("phase") not in ("Released", "Failed"):
            volume = await self._phase(volume, "Released")
        outcome = reclaim(volume)
        if outcome is Reclaim.DELETE:
            outcome = await self._remove(volume)
        if isinstance(outcome, Said) and (volume.get("status") or {}).get("phase") != "Failed":
            await self._phase(volume, "Failed", outcome.message)
            self.recorder.event(volume, *outcome)

    async def _remove(self, volume: Object) -> Reclaim | Said:
        metadata = volume["metadata"]
        try:
            await asyncio.to_thread(_remove_tree, Path(volume["spec"]["hostPath"]["path"]))
        except OSError as error:
            return Said("Warning", "VolumeFailedDelete", str(error))
        await self.client.delete(PERSISTENT_VOLUMES, metadata["name"], uid=metadata["uid"])
        return Reclaim.NOTHING

    async def _phase(self, volume: Object, phase: str, message: str = "") -> Object:
        status = volume.get("status") or {}
        if status.get("phase") == phase:
            return volume
        kept = {key: status[key] for key in status if key not in ("message", "lastPhaseTransitionTime")}
        fresh = {**kept, "phase": phase, **({"message": message} if message else {})}
        written = await self.client.update(PERSISTENT_VOLUMES, {**volume, "status": fresh}, subresource="status")
        self._volumes.wrote(written)
        return written

    async def _claim_status(self, claim: Object, status: Object) -> None:
        if status != (claim.get("status") or {}):
            changed = {**claim, "status": status}
            written = await self.client.update(PERSISTENT_VOLUME_CLAIMS, changed, subresource="status")
            self._claims.wrote(written)


def _marked(claim: Object, volume: str) -> Object:
    """The claim that has ``volume``, as it is to be written; the same object when nothing is to change."""
    said, add = binding.annotations_of(claim), {}
    if claim["spec"].get("volumeName") != volume:
        claim = {**claim, "spec": {**claim["spec"], "volumeName": volume}}
        add[binding.BOUND_BY_CONTROLLER] = "yes"
    if binding.BIND_COMPLETED not in said:
        add[binding.BIND_COMPLETED] = "yes"
    return binding.annotated(claim, add) if add else claim


def _remove_tree(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)
