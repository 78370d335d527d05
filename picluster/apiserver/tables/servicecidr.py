"""Service CIDRs."""

from __future__ import annotations

from typing import Any

from picluster.api.types import Object
from picluster.apiserver.tables.columns import AGE, NAME, Column, Printer, age, name_of

COLUMNS = (
    NAME,
    Column("CIDRs", description="CIDRs defines the IP blocks in CIDR notation (e.g. 192.168.0.0/24) from which to"
           " assign service cluster IPs."),
    AGE,
)  # fmt: skip


def row(servicecidr: Object, now_s: float) -> list[Any]:
    cidrs = (servicecidr.get("spec") or {}).get("cidrs") or ()
    return [name_of(servicecidr), ",".join(cidrs), age(servicecidr, now_s)]


PRINTER = Printer(COLUMNS, row)
