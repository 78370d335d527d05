"""What ``kubectl get`` shows: ``meta.k8s.io/v1`` Tables, one file per kind with its columns and its row. PURE.

Columns, cells and their wording are those of Kubernetes' own printers, because people and scripts read them.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from functools import cache

from picluster.api.resources import Resource
from picluster.api.types import Object
from picluster.apiserver.tables.columns import DEFAULT, GENERIC, Printer

META_VERSION = "meta.k8s.io/v1"
INCLUDE_OBJECT = ("None", "Metadata", "Object")


@cache
def printer(resource: Resource) -> Printer:
    """The printer of a kind; without a file of its own it shows when it was made, a custom resource its age."""
    if not resource.schema:
        return GENERIC
    name = f"picluster.apiserver.tables.{resource.kind.lower()}"
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        return DEFAULT
    found = module.PRINTER
    assert isinstance(found, Printer)
    return found


def render(
    resource: Resource, objects: Iterable[Object], metadata: Object, now_s: float, include: str = "Metadata"
) -> Object:
    """The Table of ``objects``; ``metadata`` is the list's, ``include`` one of ``INCLUDE_OBJECT``."""
    return printed(printer(resource), objects, metadata, now_s, include)


def printed(
    shown: Printer,
    objects: Iterable[Object],
    metadata: Object,
    now_s: float,
    include: str,
    api_version: str = META_VERSION,
) -> Object:
    """``render`` with a printer of one's own."""
    return {
        "kind": "Table",
        "apiVersion": api_version,
        "metadata": metadata,
        "columnDefinitions": [column.definition() for column in shown.columns],
        "rows": [_row(shown, obj, now_s, include, api_version) for obj in objects],
    }


def _row(shown: Printer, obj: Object, now_s: float, include: str, api_version: str) -> Object:
    row: Object = {"cells": shown.row(obj, now_s)}
    if shown.conditions is not None and (conditions := shown.conditions(obj)):
        row["conditions"] = conditions
    return _with_object(row, obj, include, api_version)


def blank(shown: Printer, obj: Object, include: str, api_version: str) -> Object:
    """The row of an object of which there is only ``metadata``."""
    return _with_object({"cells": [None for _ in shown.columns]}, obj, include, api_version)


def _with_object(row: Object, obj: Object, include: str, api_version: str) -> Object:
    if include == "Object":
        row["object"] = obj
    elif include == "Metadata":
        row["object"] = {
            "kind": "PartialObjectMetadata",
            "apiVersion": api_version,
            "metadata": obj["metadata"],
        }
    return row
