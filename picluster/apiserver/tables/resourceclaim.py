"""Resource claims: what happens to them."""

from __future__ import annotations

from typing import Any

from picluster.api.types import Object
from picluster.apiserver.tables.columns import AGE, NAME, Column, Printer, age, name_of

COLUMNS = (
    NAME,
    Column("State", description="A summary of the current state (allocated, pending, reserved, etc.)."),
    AGE,
)


def row(claim: Object, now_s: float) -> list[Any]:
    return [name_of(claim), _state(claim), age(claim, now_s)]


def _state(claim: Object) -> str:
    status = claim.get("status") or {}
    states = []
    if claim["metadata"].get("deletionTimestamp"):
        states.append("deleted")
    if status.get("allocation") is None:
        states.append("pending")
    else:
        states.append("allocated")
        if status.get("reservedFor"):
            states.append("reserved")
    return ",".join(states)


PRINTER = Printer(COLUMNS, row)
