"""Resource quotas: used and hard, requests and limits apart."""

from __future__ import annotations

from typing import Any

from picluster.api.types import Object
from picluster.apiserver.tables.columns import AGE, NAME, Column, Printer, age, name_of

COLUMNS = (
    NAME,
    Column("Request", description="Request represents a minimum amount of cpu/memory that a container may consume."),
    Column("Limit", description="Limits control the maximum amount of cpu/memory that a container may use independent"
           " of contention on the node."),
    AGE,
)  # fmt: skip


def row(quota: Object, now_s: float) -> list[Any]:
    status = quota.get("status") or {}
    hard, used = status.get("hard") or {}, status.get("used") or {}
    cells = {name: f"{name}: {used.get(name, '0')}/{hard[name]}" for name in sorted(hard)}
    requests = ", ".join(cell for name, cell in cells.items() if not name.startswith("limits."))
    limits = ", ".join(cell for name, cell in cells.items() if name.startswith("limits."))
    return [name_of(quota), requests, limits, age(quota, now_s)]


PRINTER = Printer(COLUMNS, row)
