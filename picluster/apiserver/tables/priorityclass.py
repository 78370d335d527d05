"""Priority classes."""

from __future__ import annotations

from typing import Any

from picluster.api.types import Object
from picluster.apiserver.tables.columns import AGE, NAME, Column, Printer, age, name_of

COLUMNS = (
    NAME,
    Column("Value", "integer", description="The integer value of this priority class."),
    Column("Global-Default", "boolean", description="Whether pods without a priority class get this one."),
    AGE,
    Column("PreemptionPolicy", description="The policy for preempting pods with lower priority."),
)


def row(priorityclass: Object, now_s: float) -> list[Any]:
    policy = priorityclass.get("preemptionPolicy") or "<unset>"
    default = bool(priorityclass.get("globalDefault"))
    return [name_of(priorityclass), priorityclass.get("value", 0), default, age(priorityclass, now_s), policy]


PRINTER = Printer(COLUMNS, row)
