"""Volume attachments."""

from __future__ import annotations

from typing import Any

from picluster.api.types import Object
from picluster.apiserver.tables.columns import AGE, NAME, Column, Printer, age, name_of

COLUMNS = (
    NAME,
    Column("Attacher", format="name", description="attacher indicates the name of the volume driver that MUST handle"
           " this request."),
    Column("PV", description="persistentVolumeName represents the name of the persistent volume to attach."),
    Column("Node", description="nodeName represents the node that the volume should be attached to."),
    Column("Attached", "boolean", description="attached indicates the volume is successfully attached."),
    AGE,
)  # fmt: skip


def row(attachment: Object, now_s: float) -> list[Any]:
    spec, status = attachment.get("spec") or {}, attachment.get("status") or {}
    return [
        name_of(attachment),
        spec.get("attacher", ""),
        (spec.get("source") or {}).get("persistentVolumeName") or "",
        spec.get("nodeName", ""),
        bool(status.get("attached")),
        age(attachment, now_s),
    ]


PRINTER = Printer(COLUMNS, row)
