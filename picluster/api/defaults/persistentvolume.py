"""Defaults of PersistentVolumes."""

from __future__ import annotations

from picluster.api.defaults.podspec import SOURCE_FIELDS
from picluster.api.defaults.quantities import canonicalize
from picluster.api.types import Object


def apply(volume: Object) -> None:
    spec = volume.setdefault("spec", {})
    if not spec.get("persistentVolumeReclaimPolicy"):
        spec["persistentVolumeReclaimPolicy"] = "Retain"
    spec.setdefault("volumeMode", "Filesystem")
    if spec.get("capacity"):
        canonicalize(spec["capacity"])
    for kind, fields in SOURCE_FIELDS.items():
        if (source := spec.get(kind)) is not None:
            for field, default in fields.items():
                source.setdefault(field, default)
    status = volume.setdefault("status", {})
    if not status.get("phase"):
        status["phase"] = "Pending"
