"""Defaults of StorageClasses."""

from __future__ import annotations

from picluster.api.types import Object


def apply(storageclass: Object) -> None:
    storageclass.setdefault("reclaimPolicy", "Delete")
    storageclass.setdefault("volumeBindingMode", "Immediate")
