"""CSI nodes."""

from __future__ import annotations

from typing import Any

from picluster.api.types import Object
from picluster.apiserver.tables.columns import AGE, NAME, Column, Printer, age, name_of

COLUMNS = (
    NAME,
    Column("Drivers", "integer", description="drivers is a list of information of all CSI Drivers existing on a node."),
    AGE,
)


def row(csinode: Object, now_s: float) -> list[Any]:
    return [name_of(csinode), len((csinode.get("spec") or {}).get("drivers") or ()), age(csinode, now_s)]


PRINTER = Printer(COLUMNS, row)
