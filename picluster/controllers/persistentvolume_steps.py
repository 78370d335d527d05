"""What is next for one claim or one volume. PURE: the objects in, one step out.

Source: ``syncUnboundClaim``, ``syncBoundClaim`` and ``syncVolume`` in
``pkg/controller/volume/persistentvolume/pv_controller.go``; reasons and messages are theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from picluster.api import volumebinding as binding
from picluster.api.types import Object

IN_TREE = "kubernetes.io/"
EXTERNAL = (
    "Waiting for a volume to be created either by the external provisioner '{}' or manually by the system "
    "administrator. If volume creation is delayed, please verify that the provisioner is running and correctly "
    "registered."
)


class Said(NamedTuple):
    """An event about the object that the step is for."""

    type: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Bind:
    """Claim and ``volume`` become each other's, or what is left to write of that is written."""

    volume: Object


@dataclass(frozen=True, slots=True)
class Stay:
    """The claim waits."""

    said: Said | None = None


@dataclass(frozen=True, slots=True)
class Lose:
    """The claim's volume is not its own, or not there: for good, once the API server says so too."""

    said: Said


@dataclass(frozen=True, slots=True)
class AssignClass:
    """The claim names no class, and there is a default by now (KEP-3333)."""

    name: str


@dataclass(frozen=True, slots=True)
class Provision:
    """Somebody outside makes a volume for the claim."""

    provisioner: str


ClaimStep = Bind | Stay | Lose | AssignClass | Provision


@dataclass(frozen=True, slots=True)
class View:
    """What a claim's next step depends on."""

    volume: Callable[[str], Object | None]
    volumes: Callable[[], Collection[Object]]
    classes: Mapping[str, Object]
    waiting: Callable[[Object], Sequence[str]]
    """The names of a claim's pods that have no node yet."""


def claim_step(claim: Object, view: View) -> ClaimStep:
    if binding.BIND_COMPLETED in binding.annotations_of(claim):
        return _bound(claim, view)
    return _asking(claim, view) if claim["spec"].get("volumeName") else _searching(claim, view)


def _bound(claim: Object, view: View) -> ClaimStep:
    name = claim["spec"].get("volumeName")
    if not name:
        lost = "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!"
        return Lose(Said("Warning", "ClaimLost", lost))
    volume = view.volume(name)
    if volume is None:
        lost = "Bound claim has lost its PersistentVolume. Data on the volume is lost!"
        return Lose(Said("Warning", "ClaimLost", lost))
    reference = volume["spec"].get("claimRef")
    if reference is None or reference.get("uid") == claim["metadata"]["uid"]:
        return Bind(volume)
    message = "Two claims are bound to the same volume, this one is bound incorrectly"
    return Lose(Said("Warning", "ClaimMisbound", message))


def _asking(claim: Object, view: View) -> ClaimStep:
    """For a volume that it names."""
    name = claim["spec"]["volumeName"]
    volume = view.volume(name)
    if volume is None:
        return Stay()
    if volume["spec"].get("claimRef") is None:
        why = binding.mismatch(volume, claim)
        if why is None:
            return Bind(volume)
        return Stay(Said("Warning", "VolumeMismatch", f'Cannot bind to requested volume "{name}": {why}'))
    if binding.is_for(volume, claim):
        return Bind(volume)
    return Stay(Said("Warning", "FailedBinding", f'volume "{name}" already bound to a different claim.'))


def _searching(claim: Object, view: View) -> ClaimStep:
    wanted = binding.class_of(claim)
    storage_class = view.classes.get(wanted) if wanted else None
    delayed = binding.waits_for_consumer(storage_class)
    volume = binding.find_best(claim, view.volumes(), delayed=delayed)
    if volume is not None:
        return Bind(volume)
    if not binding.names_class(claim):
        default = binding.default_class(view.classes.values())
        if default is not None:
            return AssignClass(default["metadata"]["name"])
    if delayed and binding.SELECTED_NODE not in binding.annotations_of(claim):
        return Stay(_waiting(view.waiting(claim)))
    if not wanted:
        message = "no persistent volumes available for this claim and no storage class is set"
        return Stay(Said("Normal", "FailedBinding", message))
    if storage_class is None:
        return Stay(Said("Warning", "ProvisioningFailed", f'storageclass.storage.k8s.io "{wanted}" not found'))
    provisioner = storage_class["provisioner"]
    if provisioner.startswith(IN_TREE):
        return Stay(Said("Warning", "ProvisioningFailed", "no volume plugin matched"))
    return Provision(provisioner)


def _waiting(pods: Sequence[str]) -> Said:
    if not pods:
        return Said("Normal", "WaitForFirstConsumer", "waiting for first consumer to be created before binding")
    who = f"pod {pods[0]}" if len(pods) == 1 else f"pods {','.join(pods)}"
    return Said("Normal", "WaitForPodScheduled", f"waiting for {who} to be scheduled")


class VolumeStep(Enum):
    AVAILABLE = "nobody has it, or somebody for whom it is reserved has not come yet"
    BOUND = "it and its claim have each other"
    FINISH = "the claim is still to be told"
    MISFIT = "it is reserved for a claim that wants another mode"
    RELEASED = "its claim is gone, or has another volume and this one was made for it"
    UNBIND = "its claim has another volume"


def volume_step(volume: Object, claim: Object | None) -> VolumeStep:
    """``claim`` has the name and the UID that the volume says, or there is none such."""
    reference = volume["spec"].get("claimRef")
    if reference is None or not reference.get("uid"):
        return VolumeStep.AVAILABLE
    if claim is None:
        return VolumeStep.RELEASED
    has = claim["spec"].get("volumeName")
    if not has:
        return VolumeStep.FINISH if binding.mode(volume) == binding.mode(claim) else VolumeStep.MISFIT
    if has == volume["metadata"]["name"]:
        return VolumeStep.BOUND
    made = binding.PROVISIONED_BY in binding.annotations_of(volume)
    if made and volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete":
        return VolumeStep.RELEASED
    return VolumeStep.UNBIND


def unbound(volume: Object) -> Object:
    """The volume as it was before its claim: one that its maker reserved stays reserved, for whoever has the name."""
    reference = volume["spec"].get("claimRef") or {}
    said = dict(binding.annotations_of(volume))
    if said.pop(binding.BOUND_BY_CONTROLLER, None) is None:
        kept = {key: value for key, value in reference.items() if key != "uid"}
        return {**volume, "spec": {**volume["spec"], "claimRef": kept}}
    spec = {key: value for key, value in volume["spec"].items() if key != "claimRef"}
    metadata = {key: value for key, value in volume["metadata"].items() if key != "annotations"}
    return {**volume, "metadata": {**metadata, **({"annotations": said} if said else {})}, "spec": spec}


def bound_status(claim: Object, volume: Object) -> Object:
    """The status of a claim that has the volume. Its size is set as it becomes bound, and no more from then on."""
    status = {**(claim.get("status") or {}), "accessModes": volume["spec"].get("accessModes") or []}
    if status.get("phase") != "Bound":
        status["capacity"] = dict(volume["spec"].get("capacity") or {})
    return {**status, "phase": "Bound"}


def unbound_status(claim: Object, phase: str) -> Object:
    status = claim.get("status") or {}
    return {**{key: status[key] for key in status if key not in ("accessModes", "capacity")}, "phase": phase}


class Reclaim(Enum):
    NOTHING = "it is kept, or somebody else deletes it"
    DELETE = "its directory is to go, and it with that"


def reclaim(volume: Object) -> Reclaim | Said:
    """What becomes of a released volume, or why it failed.

    What a provisioner made, it deletes itself. Of Kubernetes' own plugins only hostPath's deletes, for trials on one
    machine: below /tmp, where the controllers run.
    """
    spec, said = volume["spec"], binding.annotations_of(volume)
    policy, name = spec.get("persistentVolumeReclaimPolicy"), volume["metadata"]["name"]
    if said.get(binding.MIGRATED_TO) or policy == "Retain":
        return Reclaim.NOTHING
    if policy == "Recycle":
        return Said("Warning", "VolumeFailedRecycle", "No recycler plugin found for the volume!")
    if policy != "Delete":
        message = "Volume has unrecognized PersistentVolumeReclaimPolicy"
        return Said("Warning", "VolumeUnknownReclaimPolicy", message)
    made_by = said.get(binding.PROVISIONED_BY, "")
    external = bool(made_by) and not made_by.startswith(IN_TREE)
    if external or spec.get("csi") is not None or volume["metadata"].get("deletionTimestamp"):
        return Reclaim.NOTHING
    if spec.get("hostPath") is None:
        why = f'error getting deleter volume plugin for volume "{name}": no volume plugin matched'
        return Said("Warning", "VolumeFailedDelete", why)
    path = spec["hostPath"]["path"]
    if not path.startswith("/tmp/") or path == "/tmp/" or ".." in path.split("/"):  # noqa: S108 - a rule, no use
        why = f"host_path deleter only supports /tmp/.+ but received provided {path}"
        return Said("Warning", "VolumeFailedDelete", f'failed to create deleter for volume "{name}": {why}')
    return Reclaim.DELETE
