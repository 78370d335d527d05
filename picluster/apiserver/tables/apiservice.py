"""API services: the columns that ``kubectl`` shows for them."""

from __future__ import annotations

from typing import Any

from picluster.api.types import Object
from picluster.apiserver.tables.columns import AGE, NAME, Column, Printer, age, name_of

COLUMNS = (
    NAME,
    Column("Service", description="The reference to the service that hosts this API endpoint."),
    Column("Available", description="Whether this service is available."),
    AGE,
)


def row(apiservice: Object, now_s: float) -> list[Any]:
    service = (apiservice.get("spec") or {}).get("service")
    shown = "Local" if service is None else f"{service.get('namespace', '')}/{service.get('name', '')}"
    return [name_of(apiservice), shown, _available(apiservice.get("status") or {}), age(apiservice, now_s)]


def _available(status: Object) -> str:
    found = next((c for c in status.get("conditions") or () if c.get("type") == "Available"), None)
    if found is None:
        return "Unknown"
    if found.get("status") == "True" or not found.get("reason"):
        return str(found.get("status", "Unknown"))
    return f"{found.get('status')} ({found['reason']})"


PRINTER = Printer(COLUMNS, row)
