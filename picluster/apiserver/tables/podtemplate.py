"""Pod templates."""

from __future__ import annotations

from typing import Any

from picluster.api.types import Object
from picluster.apiserver.tables.columns import NAME, Column, Printer, containers, labels, name_of

COLUMNS = (
    NAME,
    Column("Containers", description="Names of each container in the template."),
    Column("Images", description="Images referenced by each container in the template."),
    Column("Pod Labels", description="The labels for the pod template."),
)


def row(podtemplate: Object, now_s: float) -> list[Any]:
    template = podtemplate.get("template") or {}
    names, images = containers(template.get("spec") or {})
    return [name_of(podtemplate), names, images, labels((template.get("metadata") or {}).get("labels"))]


PRINTER = Printer(COLUMNS, row)
