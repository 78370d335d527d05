"""Endpoints."""

from __future__ import annotations

from typing import Any

from picluster.api.types import Object
from picluster.apiserver.tables.columns import AGE, NAME, Column, Printer, age, name_of

COLUMNS = (NAME, Column("Endpoints", description="Addresses and ports that make up the endpoints."), AGE)
SHOWN_MAX = 3


def row(endpoints: Object, now_s: float) -> list[Any]:
    return [name_of(endpoints), _listed(endpoints.get("subsets") or []), age(endpoints, now_s)]


def _listed(subsets: list[Object]) -> str:
    found = []
    for subset in subsets:
        addresses = [address["ip"] for address in subset.get("addresses") or []]
        ports = subset.get("ports") or []
        if ports:
            found += [f"{ip}:{port['port']}" for port in ports for ip in addresses]
        else:
            found += addresses
    if not found:
        return "<none>"
    more = f" + {len(found) - SHOWN_MAX} more..." if len(found) > SHOWN_MAX else ""
    return ",".join(found[:SHOWN_MAX]) + more


PRINTER = Printer(COLUMNS, row)
