"""Resource claim templates."""

from __future__ import annotations

from typing import Any

from picluster.api.types import Object
from picluster.apiserver.tables.columns import AGE, NAME, Printer, age, name_of

COLUMNS = (
    NAME,
    AGE,
)


def row(template: Object, now_s: float) -> list[Any]:
    return [name_of(template), age(template, now_s)]


PRINTER = Printer(COLUMNS, row)
