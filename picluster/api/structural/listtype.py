"""Lists that are sets or maps: no element, and no key, twice (``apiserver/schema/listtype``)."""

from __future__ import annotations

from typing import Any

import orjson

from picluster.api.errors import FieldError, duplicate, invalid_value
from picluster.api.structural.prune import additional
from picluster.api.types import Object

LIST_TYPE = "x-kubernetes-list-type"
MAP_KEYS = "x-kubernetes-list-map-keys"


def failures(value: Any, schema: Object | None, path: str = "") -> list[FieldError]:
    """Every doubled element of a set, and every doubled key of a map."""
    found: list[FieldError] = []
    _check(value, schema, path, found)
    return found


def key_of(element: Any, schema: Object) -> bytes:
    """What tells elements of a list of type ``map`` apart."""
    keys = schema.get(MAP_KEYS) or ()
    return _identity({key: element[key] for key in keys if key in element} if isinstance(element, dict) else {})


def _check(value: Any, schema: Object | None, path: str, found: list[FieldError]) -> None:
    if schema is None:
        return
    if isinstance(value, dict):
        properties, mapped = schema.get("properties") or {}, additional(schema)
        for key, child in value.items():
            if mapped is not None:
                _check(child, mapped, f"{path}[{key}]", found)
            elif key in properties:
                _check(child, properties[key], f"{path}.{key}" if path else key, found)
    elif isinstance(value, list):
        if schema.get(LIST_TYPE) == "set":
            found.extend(duplicate(f"{path}[{index}]", value[index]) for index in _repeated(value))
        elif schema.get(LIST_TYPE) == "map":
            _check_map(value, schema, path, found)
        for index, element in enumerate(value):
            _check(element, schema.get("items"), f"{path}[{index}]", found)


def _check_map(value: list[Any], schema: Object, path: str, found: list[FieldError]) -> None:
    for index, element in enumerate(value):
        if element is not None and not isinstance(element, dict):
            why = "must be an object for an array of list-type map"
            found.append(invalid_value(f"{path}[{index}]", element, why))
            return
    names = schema.get(MAP_KEYS) or ()
    keys = [{name: element[name] for name in names if name in element} if element else {} for element in value]
    found.extend(duplicate(f"{path}[{index}]", keys[index]) for index in _repeated(keys))


def _repeated(values: list[Any]) -> list[int]:
    """Where a value is for the second time; further repetitions are not counted."""
    times: dict[bytes, int] = {}
    repeated = []
    for index, value in enumerate(values):
        identity = _identity(value)
        times[identity] = times.get(identity, 0) + 1
        if times[identity] == 2:
            repeated.append(index)
    return repeated


def _identity(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
