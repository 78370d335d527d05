"""Namespaces."""

from __future__ import annotations

from typing import Any

from picluster.api.types import Object
from picluster.apiserver.tables.columns import AGE, NAME, Column, Printer, age, name_of

COLUMNS = (NAME, Column("Status", description="The status of the namespace"), AGE)


def row(namespace: Object, now_s: float) -> list[Any]:
    return [name_of(namespace), (namespace.get("status") or {}).get("phase", ""), age(namespace, now_s)]


PRINTER = Printer(COLUMNS, row)
