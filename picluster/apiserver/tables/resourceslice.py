"""Resource slices."""

from __future__ import annotations

from typing import Any

from picluster.api.types import Object
from picluster.apiserver.tables.columns import AGE, NAME, Column, Printer, age, name_of

COLUMNS = (
    NAME,
    Column("Node", description="The node which provides the resources in this pool."),
    Column("Driver", description="The name of the driver providing the resources."),
    Column("Pool", description="The pool that this slice belongs to."),
    AGE,
)


def row(resourceslice: Object, now_s: float) -> list[Any]:
    spec = resourceslice.get("spec") or {}
    pool, node = (spec.get("pool") or {}).get("name", ""), spec.get("nodeName") or "<unset>"
    return [name_of(resourceslice), node, spec.get("driver", ""), pool, age(resourceslice, now_s)]


PRINTER = Printer(COLUMNS, row)
