"""Persistent volume claims."""

from __future__ import annotations

from typing import Any

from picluster.api.types import Object
from picluster.apiserver.tables.columns import AGE, NAME, Column, Printer, age, name_of, wide
from picluster.apiserver.tables.volumes import access_modes, class_of, phase

COLUMNS = (
    NAME,
    Column("Status", description="The current phase of the claim."),
    Column("Volume", description="The volume backing this claim."),
    Column("Capacity", description="The actual resources of the underlying volume."),
    Column("Access Modes", description="The actual access modes the volume backing the claim has."),
    Column("StorageClass", description="StorageClass of the pvc"),
    Column("VolumeAttributesClass", description="VolumeAttributesClass of the pvc"),
    AGE,
    wide("VolumeMode"),
)


def row(claim: Object, now_s: float) -> list[Any]:
    spec, status = claim["spec"], claim.get("status") or {}
    bound = bool(spec.get("volumeName"))
    return [
        name_of(claim),
        phase(claim),
        spec.get("volumeName", ""),
        (status.get("capacity") or {}).get("storage", "0") if bound else "",
        access_modes(status.get("accessModes")) if bound else "",
        class_of(claim),
        spec.get("volumeAttributesClassName") or "<unset>",
        age(claim, now_s),
        spec.get("volumeMode") or "<unset>",
    ]


PRINTER = Printer(COLUMNS, row)
