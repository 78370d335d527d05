"""CSI storage capacities."""

from __future__ import annotations

from typing import Any

from picluster.api.types import Object
from picluster.apiserver.tables.columns import NAME, Column, Printer, name_of

COLUMNS = (
    NAME,
    Column("StorageClassName", description="The name of the StorageClass that the reported capacity applies to."),
    Column("Capacity", description="The value reported by the CSI driver in its GetCapacityResponse."),
)


def row(capacity: Object, now_s: float) -> list[Any]:
    return [name_of(capacity), capacity.get("storageClassName", ""), capacity.get("capacity") or "<unset>"]


PRINTER = Printer(COLUMNS, row)
