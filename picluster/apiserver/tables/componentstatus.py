"""Component statuses: the condition Healthy."""

from __future__ import annotations

from typing import Any

from picluster.api.types import Object
from picluster.apiserver.tables.columns import NAME, Column, Printer, name_of

COLUMNS = (
    NAME,
    Column("Status", description="Status of the component conditions"),
    Column("Message", description="Message of the component conditions"),
    Column("Error", description="Error of the component conditions"),
)


def row(component: Object, now_s: float) -> list[Any]:
    for condition in component.get("conditions") or ():
        if condition.get("type") == "Healthy":
            status = "Healthy" if condition.get("status") == "True" else "Unhealthy"
            return [name_of(component), status, condition.get("message", ""), condition.get("error", "")]
    return [name_of(component), "Unknown", "", ""]


PRINTER = Printer(COLUMNS, row)
