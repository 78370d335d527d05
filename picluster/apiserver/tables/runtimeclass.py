"""Runtime classes."""

from __future__ import annotations

from typing import Any

from picluster.api.types import Object
from picluster.apiserver.tables.columns import AGE, NAME, Column, Printer, age, name_of

COLUMNS = (
    NAME,
    Column("Handler", description="The runtime and configuration that handles pods of this class."),
    AGE,
)


def row(runtimeclass: Object, now_s: float) -> list[Any]:
    return [name_of(runtimeclass), runtimeclass.get("handler", ""), age(runtimeclass, now_s)]


PRINTER = Printer(COLUMNS, row)
