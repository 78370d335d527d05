"""IP addresses of Services."""

from __future__ import annotations

from typing import Any

from picluster.api.types import Object
from picluster.apiserver.tables.columns import AGE, NAME, Column, Printer, age, name_of

COLUMNS = (NAME, Column("ParentRef", description="The object that the address belongs to."), AGE)


def row(address: Object, now_s: float) -> list[Any]:
    parent, shown = (address.get("spec") or {}).get("parentRef"), "<none>"
    if parent is not None:
        group, namespace, name = (parent.get(field) or "" for field in ("group", "namespace", "name"))
        resource = f"{group}/{parent.get('resource', '')}" if group else parent.get("resource", "")
        shown = f"{resource}/{namespace}/{name}" if namespace else f"{resource}/{name}"
    return [name_of(address), shown, age(address, now_s)]


PRINTER = Printer(COLUMNS, row)
