"""How claims and volumes find each other: what the controller that binds them and the scheduler both judge by. PURE.

Source: ``k8s.io/component-helpers/storage/volume`` and ``pkg/controller/volume/persistentvolume/index.go``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import NamedTuple

from picluster.api.quantity import nanos
from picluster.api.selectors import from_object
from picluster.api.types import Object

BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
MIGRATED_TO = "pv.kubernetes.io/migrated-to"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
STORAGE_PROVISIONER = "volume.kubernetes.io/storage-provisioner"
STORAGE_PROVISIONER_BETA = "volume.beta.kubernetes.io/storage-provisioner"
CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"
DEFAULT_CLASS = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")
WAIT_FOR_FIRST_CONSUMER = "WaitForFirstConsumer"
NO_PROVISIONER = "kubernetes.io/no-provisioner"
SINGLE_POD = "ReadWriteOncePod"
LOCAL_PATH = "picluster.io/local-path"
"""Our own provisioner: directories on nodes."""

FitsNode = Callable[[Object], bool]
"""Whether a volume can be used on the node in question."""


class Mount(NamedTuple):
    """A claim that a pod mounts; ``ephemeral`` when it is made for this pod alone and belongs to it."""

    claim: str
    ephemeral: bool


def annotations_of(obj: Object) -> dict[str, str]:
    found: dict[str, str] = obj["metadata"].get("annotations") or {}
    return found


def mounts(pod: Object) -> Iterator[Mount]:
    """The claims that a pod names, and those made for its own volumes (``<pod>-<volume>``, KEP-1698)."""
    for volume in (pod.get("spec") or {}).get("volumes") or ():
        claim = volume.get("persistentVolumeClaim")
        if claim is not None:
            yield Mount(claim["claimName"], ephemeral=False)
        elif volume.get("ephemeral") is not None:
            yield Mount(f"{pod['metadata']['name']}-{volume['name']}", ephemeral=True)


def class_of(obj: Object) -> str:
    """The class of a claim or a volume; an annotation from before the field still counts."""
    said = annotations_of(obj).get(CLASS_ANNOTATION)
    return said if said is not None else (obj.get("spec") or {}).get("storageClassName") or ""


def names_class(claim: Object) -> bool:
    """Whether the claim says which class it wants, the empty one included."""
    return CLASS_ANNOTATION in annotations_of(claim) or claim["spec"].get("storageClassName") is not None


def default_class(classes: Iterable[Object]) -> Object | None:
    """The class for claims that name none: of several the newest, of those the first by name."""
    defaults = [found for found in classes if any(annotations_of(found).get(name) == "true" for name in DEFAULT_CLASS)]
    defaults.sort(key=lambda found: str(found["metadata"]["name"]))
    defaults.sort(key=lambda found: str(found["metadata"].get("creationTimestamp")), reverse=True)
    return defaults[0] if defaults else None


def waits_for_consumer(storage_class: Object | None) -> bool:
    """Whether claims of the class are bound only when a pod that uses them has a node."""
    return storage_class is not None and storage_class.get("volumeBindingMode") == WAIT_FOR_FIRST_CONSUMER


def is_for(volume: Object, claim: Object) -> bool:
    """Whether the volume is bound, or reserved by its maker, for this very claim."""
    reference = volume["spec"].get("claimRef")
    metadata = claim["metadata"]
    if reference is None or (reference.get("namespace"), reference.get("name")) != (
        metadata["namespace"],
        metadata["name"],
    ):
        return False
    return not reference.get("uid") or reference["uid"] == metadata["uid"]


def is_fully_bound(claim: Object) -> bool:
    """Whether the binding controller has finished with the claim."""
    return bool(claim["spec"].get("volumeName")) and BIND_COMPLETED in annotations_of(claim)


def reserved(volume: Object, claim: Object) -> Object:
    """The volume bound to the claim, as it is to be written; the same object when nothing is to change.

    A volume that its maker did not reserve for the claim is marked as bound by us.
    """
    metadata, reference = claim["metadata"], volume["spec"].get("claimRef") or {}
    exact = is_for(volume, claim) and bool(reference.get("uid"))
    said = annotations_of(volume)
    mark = not is_for(volume, claim) and BOUND_BY_CONTROLLER not in said
    if exact and not mark:
        return volume
    reference = {
        "kind": "PersistentVolumeClaim",
        "apiVersion": "v1",
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "uid": metadata["uid"],
        "resourceVersion": metadata.get("resourceVersion", ""),
    }
    bound = {**volume, "spec": {**volume["spec"], "claimRef": reference}}
    return annotated(bound, {BOUND_BY_CONTROLLER: "yes"}) if mark else bound


def annotated(obj: Object, said: dict[str, str]) -> Object:
    """A copy with more annotations."""
    return {**obj, "metadata": {**obj["metadata"], "annotations": {**annotations_of(obj), **said}}}


def find_match(
    claim: Object,
    volumes: Iterable[Object],
    *,
    delayed: bool = False,
    fits_node: FitsNode | None = None,
    taken: Collection[str] = (),
) -> Object | None:
    """The volume for a claim: the one reserved for it, else the smallest that serves.

    Without ``fits_node`` no node is looked at, and a ``delayed`` claim gets only what is reserved for it. With it, as
    the scheduler asks, the volume must fit the node too. ``taken`` are names of volumes that are promised already.
    """
    selector = claim["spec"].get("selector")
    wanted = from_object(selector) if selector is not None else None
    size, name = requested_size(claim), class_of(claim)
    best: tuple[int, str, Object] | None = None
    for volume in volumes:
        if volume["metadata"]["name"] in taken or not _could_serve(volume, claim, size):
            continue
        if is_for(volume, claim):
            return volume if fits_node is None or fits_node(volume) else None
        if volume["spec"].get("claimRef") is not None or (fits_node is None and delayed):
            continue
        if (volume.get("status") or {}).get("phase") != "Available" or class_of(volume) != name:
            continue
        if wanted is not None and not wanted.matches(volume["metadata"].get("labels") or {}):
            continue
        if not has_modes(volume, claim) or (fits_node is not None and not fits_node(volume)):
            continue
        rank = (capacity(volume), str(volume["metadata"]["name"]))
        if best is None or rank < best[:2]:
            best = (*rank, volume)
    return None if best is None else best[2]


def find_best(claim: Object, volumes: Iterable[Object], *, delayed: bool) -> Object | None:
    """``find_match`` as the binding controller asks: of volumes that can do no more than the claim wants first."""
    by_modes: dict[tuple[str, ...], list[Object]] = {}
    for volume in volumes:
        if has_modes(volume, claim):
            by_modes.setdefault(tuple(sorted(volume["spec"].get("accessModes") or ())), []).append(volume)
    for modes in sorted(by_modes, key=lambda modes: (len(modes), modes)):
        found = find_match(claim, by_modes[modes], delayed=delayed)
        if found is not None:
            return found
    return None


def mismatch(volume: Object, claim: Object) -> str | None:
    """Why a claim cannot have the volume that it asks for by name, in the controller's words."""
    if volume["metadata"].get("deletionTimestamp"):
        return f'the volume is marked for deletion "{volume["metadata"]["name"]}"'
    if capacity(volume) < requested_size(claim):
        return "requested PV is too small"
    if class_of(volume) != class_of(claim):
        return "storageClassName does not match"
    if _attributes_class(volume) != _attributes_class(claim):
        return "volumeAttributesClassName does not match"
    if mode(volume) != mode(claim):
        return "incompatible volumeMode"
    if not has_modes(volume, claim):
        return "incompatible accessMode"
    return None


def mode(obj: Object) -> str:
    return obj["spec"].get("volumeMode") or "Filesystem"


def has_modes(volume: Object, claim: Object) -> bool:
    """Whether the volume can be accessed in every way that the claim asks for."""
    return set(claim["spec"].get("accessModes") or ()) <= set(volume["spec"].get("accessModes") or ())


def capacity(volume: Object) -> int:
    """In nanos of a byte."""
    return nanos((volume["spec"].get("capacity") or {}).get("storage", "0"))


def requested_size(claim: Object) -> int:
    """In nanos of a byte."""
    return nanos(((claim["spec"].get("resources") or {}).get("requests") or {}).get("storage", "0"))


def _could_serve(volume: Object, claim: Object, size: int) -> bool:
    return (
        capacity(volume) >= size
        and mode(volume) == mode(claim)
        and _attributes_class(volume) == _attributes_class(claim)
        and not volume["metadata"].get("deletionTimestamp")
    )


def _attributes_class(obj: Object) -> str:
    return obj["spec"].get("volumeAttributesClassName") or ""
