"""Flow schemas."""

from __future__ import annotations

from typing import Any

from picluster.api.types import Object
from picluster.apiserver.tables.columns import AGE, NAME, Column, Printer, age, name_of

COLUMNS = (
    NAME,
    Column("PriorityLevel", description="The priority level that requests of this schema belong to."),
    Column("MatchingPrecedence", "integer", description="Which schema is chosen among those that match: the lowest."),
    Column("DistinguisherMethod", description="How flows are told apart."),
    AGE,
    Column("MissingPL", description="Whether the priority level is missing."),
)


def row(flowschema: Object, now_s: float) -> list[Any]:
    spec, status = flowschema.get("spec") or {}, flowschema.get("status") or {}
    missing = next((c.get("status") for c in status.get("conditions") or () if c.get("type") == "Dangling"), "?")
    return [
        name_of(flowschema),
        (spec.get("priorityLevelConfiguration") or {}).get("name", ""),
        spec.get("matchingPrecedence", 0),
        (spec.get("distinguisherMethod") or {}).get("type") or "<none>",
        age(flowschema, now_s),
        missing,
    ]


PRINTER = Printer(COLUMNS, row)
