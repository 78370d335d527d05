"""Persistent volumes."""

from __future__ import annotations

from typing import Any

from picluster.api.types import Object
from picluster.apiserver.tables.columns import AGE, NAME, Column, Printer, age, name_of, wide
from picluster.apiserver.tables.volumes import access_modes, class_of, phase

COLUMNS = (
    NAME,
    Column("Capacity", description="The volume's resources and capacity."),
    Column("Access Modes", description="All ways the volume can be mounted."),
    Column("Reclaim Policy", description="What happens to the volume when it is released from its claim."),
    Column("Status", description="Whether the volume is available, bound to a claim, or released by a claim."),
    Column("Claim", description="The claim that the volume is bound to."),
    Column("StorageClass", description="StorageClass of the pv"),
    Column("VolumeAttributesClass", description="VolumeAttributesClass of the pv"),
    Column("Reason", description="Why the volume is in a failed state."),
    AGE,
    wide("VolumeMode"),
)


def row(volume: Object, now_s: float) -> list[Any]:
    spec, status = volume["spec"], volume.get("status") or {}
    claim = spec.get("claimRef")
    return [
        name_of(volume),
        (spec.get("capacity") or {}).get("storage", "0"),
        access_modes(spec.get("accessModes")),
        spec.get("persistentVolumeReclaimPolicy", ""),
        phase(volume),
        f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim else "",
        class_of(volume),
        spec.get("volumeAttributesClassName") or "<unset>",
        status.get("reason", ""),
        age(volume, now_s),
        spec.get("volumeMode") or "<unset>",
    ]


PRINTER = Printer(COLUMNS, row)
