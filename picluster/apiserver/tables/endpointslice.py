"""Endpoint slices."""

from __future__ import annotations

from typing import Any

from picluster.api.types import Object
from picluster.apiserver.tables.columns import AGE, NAME, Column, Printer, age, name_of

COLUMNS = (
    NAME,
    Column("AddressType", description="addressType specifies the type of address carried by this EndpointSlice."),
    Column("Ports", description="ports specifies the list of network ports exposed by each endpoint in this slice."),
    Column("Endpoints", description="endpoints is a list of unique endpoints in this slice."),
    AGE,
)
SHOWN_MAX = 3


def row(piece: Object, now_s: float) -> list[Any]:
    ports = [str(port.get("port") or port.get("name") or "*") for port in piece.get("ports") or []]
    addresses = [ip for endpoint in piece.get("endpoints") or [] for ip in endpoint["addresses"]]
    return [
        name_of(piece),
        piece["addressType"],
        _some(ports),
        _some(addresses),
        age(piece, now_s),
    ]


def _some(found: list[str]) -> str:
    if not found:
        return "<unset>"
    more = f" + {len(found) - SHOWN_MAX} more..." if len(found) > SHOWN_MAX else ""
    return ",".join(found[:SHOWN_MAX]) + more


PRINTER = Printer(COLUMNS, row)
