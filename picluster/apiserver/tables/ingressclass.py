"""Ingress classes."""

from __future__ import annotations

from typing import Any

from picluster.api.types import Object
from picluster.apiserver.tables.columns import AGE, NAME, Column, Printer, age, name_of

COLUMNS = (
    NAME,
    Column("Controller", description="Controller that is responsible for handling this class"),
    Column("Parameters", description="A reference to a resource with additional parameters"),
    AGE,
)


def row(ingressclass: Object, now_s: float) -> list[Any]:
    spec = ingressclass.get("spec") or {}
    parameters, shown = spec.get("parameters"), "<none>"
    if parameters is not None:
        group = parameters.get("apiGroup")
        kind = parameters.get("kind", "") + (f".{group}" if group is not None else "")
        shown = f"{kind}/{parameters.get('name', '')}"
    return [name_of(ingressclass), spec.get("controller", ""), shown, age(ingressclass, now_s)]


PRINTER = Printer(COLUMNS, row)
