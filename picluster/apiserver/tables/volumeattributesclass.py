"""Volume attributes classes."""

from __future__ import annotations

from typing import Any

from picluster.api.types import Object
from picluster.apiserver.tables.columns import AGE, NAME, Column, Printer, age, name_of

DEFAULT_ANNOTATION = "volumeattributesclass.alpha.kubernetes.io/is-default-class"
COLUMNS = (NAME, Column("DriverName", description="Name of the CSI driver"), AGE)


def row(volumeattributesclass: Object, now_s: float) -> list[Any]:
    annotations = volumeattributesclass["metadata"].get("annotations") or {}
    name = name_of(volumeattributesclass) + (" (default)" if annotations.get(DEFAULT_ANNOTATION) == "true" else "")
    return [name, volumeattributesclass.get("driverName", ""), age(volumeattributesclass, now_s)]


PRINTER = Printer(COLUMNS, row)
