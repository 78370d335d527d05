"""Device classes."""

from __future__ import annotations

from typing import Any

from picluster.api.types import Object
from picluster.apiserver.tables.columns import AGE, NAME, Printer, age, name_of

COLUMNS = (
    NAME,
    AGE,
)


def row(deviceclass: Object, now_s: float) -> list[Any]:
    return [name_of(deviceclass), age(deviceclass, now_s)]


PRINTER = Printer(COLUMNS, row)
