"""Pod disruption budgets."""

from __future__ import annotations

from typing import Any

from picluster.api.types import Object
from picluster.apiserver.tables.columns import AGE, NAME, Column, Printer, age, name_of

COLUMNS = (
    NAME,
    Column("Min Available", description="The minimum number of pods that must be available."),
    Column("Max Unavailable", description="The maximum number of pods that may be unavailable."),
    Column("Allowed Disruptions", "integer", description="Calculated number of pods that may be disrupted at this"
           " time."),
    AGE,
)  # fmt: skip


def row(budget: Object, now_s: float) -> list[Any]:
    spec, status = budget.get("spec") or {}, budget.get("status") or {}
    low, high = (str(spec.get(field, "N/A")) for field in ("minAvailable", "maxUnavailable"))
    return [name_of(budget), low, high, status.get("disruptionsAllowed", 0), age(budget, now_s)]


PRINTER = Printer(COLUMNS, row)
