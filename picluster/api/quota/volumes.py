"""What a claim of storage uses. Source: ``persistent_volume_claims.go`` in ``pkg/quota/v1/evaluator/core``."""

from __future__ import annotations

from picluster.api.quantity import NANO, nanos
from picluster.api.quota.amounts import Amounts
from picluster.api.quota.pods import selected
from picluster.api.types import Object

CLASS_SUFFIX = ".storageclass.storage.k8s.io/"
CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"


def usage(claim: Object, now_s: float) -> Amounts:
    storage = _storage(claim)
    used = {"persistentvolumeclaims": NANO}
    if storage is not None:
        used["requests.storage"] = storage
    if name := _class(claim):
        used[f"{name}{CLASS_SUFFIX}persistentvolumeclaims"] = NANO
        if storage is not None:
            used[f"{name}{CLASS_SUFFIX}requests.storage"] = storage
    return used


def in_scope(wanted: Object, claim: Object) -> bool:
    if wanted["scopeName"] != "VolumeAttributesClass":
        return False
    return selected(wanted, (claim.get("spec") or {}).get("volumeAttributesClassName") or "")


def _storage(claim: Object) -> int | None:
    """What it asks for, or has been given already, whichever is more."""
    requested = ((claim.get("spec") or {}).get("resources") or {}).get("requests") or {}
    if "storage" not in requested:
        return None
    allocated = (claim.get("status") or {}).get("allocatedResources") or {}
    return max(nanos(requested["storage"]), nanos(allocated.get("storage", 0)))


def _class(claim: Object) -> str:
    annotated = (claim["metadata"].get("annotations") or {}).get(CLASS_ANNOTATION)
    return annotated or (claim.get("spec") or {}).get("storageClassName") or ""
