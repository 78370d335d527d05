"""Mutating webhook configurations."""

from __future__ import annotations

from typing import Any

from picluster.api.types import Object
from picluster.apiserver.tables.columns import AGE, NAME, Column, Printer, age, name_of

COLUMNS = (
    NAME,
    Column("Webhooks", "integer", description="Webhooks indicates the number of webhooks registered in this"
           " configuration."),
    AGE,
)  # fmt: skip


def row(configuration: Object, now_s: float) -> list[Any]:
    return [name_of(configuration), len(configuration.get("webhooks") or ()), age(configuration, now_s)]


PRINTER = Printer(COLUMNS, row)
