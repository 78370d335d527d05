"""Service accounts."""

from __future__ import annotations

from typing import Any

from picluster.api.types import Object
from picluster.apiserver.tables.columns import AGE, NAME, Column, Printer, age, name_of

COLUMNS = (NAME, Column("Secrets", "integer", description="Number of secrets that pods may use."), AGE)


def row(account: Object, now_s: float) -> list[Any]:
    return [name_of(account), len(account.get("secrets") or []), age(account, now_s)]


PRINTER = Printer(COLUMNS, row)
