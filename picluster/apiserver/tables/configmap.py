"""Config maps."""

from __future__ import annotations

from typing import Any

from picluster.api.types import Object
from picluster.apiserver.tables.columns import AGE, NAME, Column, Printer, age, name_of

COLUMNS = (NAME, Column("Data", "integer", description="Number of keys in data and binaryData."), AGE)


def row(config_map: Object, now_s: float) -> list[Any]:
    keys = len(config_map.get("data") or {}) + len(config_map.get("binaryData") or {})
    return [name_of(config_map), keys, age(config_map, now_s)]


PRINTER = Printer(COLUMNS, row)
