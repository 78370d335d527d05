"""Storage classes."""

from __future__ import annotations

from typing import Any

from picluster.api.types import Object
from picluster.apiserver.tables.columns import AGE, NAME, Column, Printer, age, name_of

DEFAULT_ANNOTATIONS = (
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
)
COLUMNS = (
    NAME,
    Column("Provisioner", description="provisioner indicates the type of the provisioner."),
    Column("ReclaimPolicy", description="reclaimPolicy controls the reclaimPolicy for dynamically provisioned"
           " PersistentVolumes of this storage class."),
    Column("VolumeBindingMode", description="volumeBindingMode indicates how PersistentVolumeClaims should be"
           " provisioned and bound."),
    Column("AllowVolumeExpansion", description="allowVolumeExpansion shows whether the storage class allow volume"
           " expand."),
    AGE,
)  # fmt: skip


def row(storageclass: Object, now_s: float) -> list[Any]:
    annotations = storageclass["metadata"].get("annotations") or {}
    default = any(annotations.get(name) == "true" for name in DEFAULT_ANNOTATIONS)
    return [
        name_of(storageclass) + (" (default)" if default else ""),
        storageclass.get("provisioner", ""),
        storageclass.get("reclaimPolicy") or "Delete",
        storageclass.get("volumeBindingMode") or "<unset>",
        bool(storageclass.get("allowVolumeExpansion")),
        age(storageclass, now_s),
    ]


PRINTER = Printer(COLUMNS, row)
