"""Leases."""

from __future__ import annotations

from typing import Any

from picluster.api.types import Object
from picluster.apiserver.tables.columns import AGE, NAME, Column, Printer, age, name_of

COLUMNS = (NAME, Column("Holder", description="holderIdentity contains the identity of the holder of a lease."), AGE)


def row(lease: Object, now_s: float) -> list[Any]:
    return [name_of(lease), (lease.get("spec") or {}).get("holderIdentity") or "", age(lease, now_s)]


PRINTER = Printer(COLUMNS, row)
