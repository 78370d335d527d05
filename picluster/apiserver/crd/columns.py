"""What ``kubectl get`` shows of custom resources: name, the printer columns of the version, or the age. PURE.

Source: ``apiserver/pkg/registry/customresource/tableconvertor``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import orjson

from picluster.api import meta
from picluster.api.types import Object
from picluster.apiserver.crd import jsonpath
from picluster.apiserver.tables.columns import AGE_HELP, NAME, Column, Printer, human_duration, name_of

AGE = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp", "description": AGE_HELP}
INVALID_TIME = "<invalid>"

Cell = Callable[[Object, float], Any]


def printer(columns: Sequence[Object]) -> Printer:
    """The printer for ``additionalPrinterColumns``."""
    shown = list(columns) or [AGE]
    cells = [_cell(column) for column in shown]
    return Printer(
        (NAME, *map(_column, shown)), lambda obj, now_s: [name_of(obj), *[cell(obj, now_s) for cell in cells]]
    )


def _column(column: Object) -> Column:
    path = column["jsonPath"]
    text = column.get("description") or f"Custom resource definition column (in JSONPath format): {path}"
    return Column(column["name"], column["type"], column.get("format") or "", column.get("priority") or 0, text)


def _cell(column: Object) -> Cell:
    path, show = column["jsonPath"], _SHOWN.get(column["type"], _as_text)

    def cell(obj: Object, now_s: float) -> Any:
        try:
            found = jsonpath.find(path, obj)
        except jsonpath.JsonPathError:
            return None
        return show(found[0], now_s) if found else None

    return cell


def _as_text(value: Any, now_s: float) -> Any:
    if isinstance(value, str):
        return value
    return None if value is None else orjson.dumps(value).decode()


def _as_integer(value: Any, now_s: float) -> Any:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _as_number(value: Any, now_s: float) -> Any:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _as_boolean(value: Any, now_s: float) -> Any:
    return value if isinstance(value, bool) else None


def _as_age(value: Any, now_s: float) -> Any:
    if not isinstance(value, str):
        return None
    try:
        return human_duration(now_s - meta.parse_time(value))
    except ValueError:
        return INVALID_TIME


_SHOWN: dict[str, Callable[[Any, float], Any]] = {
    "integer": _as_integer,
    "number": _as_number,
    "boolean": _as_boolean,
    "date": _as_age,
}
