"""Custom resource definitions (``apiextensions-apiserver/pkg/registry/customresourcedefinition``)."""

from __future__ import annotations

from picluster.api import meta
from picluster.api.strategy import keep
from picluster.api.types import Object

CLEANUP_FINALIZER = "customresourcecleanup.apiextensions.k8s.io"
_KEPT_BY_STATUS = ("labels", "annotations", "finalizers", "ownerReferences")


def create(definition: Object, now: str) -> None:
    definition["status"] = {"conditions": [], "storedVersions": [], "acceptedNames": {"plural": "", "kind": ""}}
    _note_stored(definition)


def update(new: Object, old: Object) -> None:
    _note_stored(new)


def changed(new: Object, old: Object) -> bool:
    return bool(new.get("spec") != old.get("spec"))


def update_status(new: Object, old: Object) -> None:
    keep(new["metadata"], old["metadata"], _KEPT_BY_STATUS)


def begin_deletion(definition: Object, now: str) -> None:
    """The first deletion only marks: the objects go first (``REST.Delete`` in ``etcd.go``)."""
    finalizers = definition["metadata"].setdefault("finalizers", [])
    if CLEANUP_FINALIZER not in finalizers:
        finalizers.append(CLEANUP_FINALIZER)
    condition = {
        "type": "Terminating",
        "status": "True",
        "reason": "InstanceDeletionPending",
        "message": "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
    }
    meta.set_condition(definition.setdefault("status", {}).setdefault("conditions", []), condition, now)


def _note_stored(definition: Object) -> None:
    """Objects may be stored in the storage version from now on."""
    status = dict(definition.get("status") or {})
    stored = list(status.get("storedVersions") or ())
    for version in definition["spec"].get("versions") or ():
        if version.get("storage") and version.get("name", "") not in stored:
            stored.append(version.get("name", ""))
    definition["status"] = {**status, "storedVersions": stored}
