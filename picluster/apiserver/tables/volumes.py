"""What the columns of volumes and of claims have in common."""

from __future__ import annotations

from collections.abc import Iterable

from picluster.api.types import Object

_BETA_CLASS = "volume.beta.kubernetes.io/storage-class"
_SHORT = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}


def access_modes(modes: Iterable[str] | None) -> str:
    """``RWO,RWX``, in the order people know."""
    given = set(modes or ())
    return ",".join(short for mode, short in _SHORT.items() if mode in given)


def class_of(obj: Object) -> str:
    """The storage class, which an annotation names in very old objects."""
    annotated = (obj["metadata"].get("annotations") or {}).get(_BETA_CLASS)
    return str(obj["spec"].get("storageClassName", "") if annotated is None else annotated)


def phase(obj: Object) -> str:
    if obj["metadata"].get("deletionTimestamp"):
        return "Terminating"
    return str((obj.get("status") or {}).get("phase", ""))
