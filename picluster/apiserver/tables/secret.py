"""Secrets: how many keys, never what is in them."""

from __future__ import annotations

from typing import Any

from picluster.api.types import Object
from picluster.apiserver.tables.columns import AGE, NAME, Column, Printer, age, name_of

COLUMNS = (
    NAME,
    Column("Type", description="Used to facilitate programmatic handling of secret data."),
    Column("Data", "integer", description="Number of keys in data."),
    AGE,
)


def row(secret: Object, now_s: float) -> list[Any]:
    return [name_of(secret), secret.get("type", ""), len(secret.get("data") or {}), age(secret, now_s)]


PRINTER = Printer(COLUMNS, row)
