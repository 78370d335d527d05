"""Filling in what a structural schema gives for absent fields (``apiserver/schema/defaulting``)."""

from __future__ import annotations

import copy
from typing import Any

from picluster.api.structural.prune import additional, anywhere
from picluster.api.types import Object


def default(value: Any, schema: Object | None) -> None:
    """Fill defaults in place, then drop nulls where null is not allowed; running it twice changes nothing."""
    _fill(value, schema)
    _drop_nulls(value, schema)


def has_defaults(schema: Object) -> bool:
    """Whether ``default`` could add something."""
    return anywhere(schema, lambda node: "default" in node)


def _fill(value: Any, schema: Object | None) -> None:
    if schema is None:
        return
    if isinstance(value, dict):
        properties = schema.get("properties") or {}
        for name, child in properties.items():
            if "default" in child and (name not in value or _unwanted_null(value[name], child)):
                value[name] = copy.deepcopy(child["default"])
        mapped = additional(schema)
        for key in value:
            node = properties.get(key, mapped)
            if key not in properties and _unwanted_null(value[key], node):
                value[key] = copy.deepcopy((node or {}).get("default"))
            _fill(value[key], node)
    elif isinstance(value, list):
        items = schema.get("items")
        for index, element in enumerate(value):
            if _unwanted_null(element, items):
                value[index] = copy.deepcopy((items or {}).get("default"))
            _fill(value[index], items)


def _drop_nulls(value: Any, schema: Object | None) -> None:
    if schema is None:
        return
    if isinstance(value, dict):
        properties, mapped = schema.get("properties") or {}, additional(schema)
        for key in list(value):
            node = properties.get(key, mapped)
            if _unwanted_null(value[key], node):
                del value[key]
            else:
                _drop_nulls(value[key], node)
    elif isinstance(value, list):
        for element in value:
            _drop_nulls(element, schema.get("items"))


def _unwanted_null(value: Any, schema: Object | None) -> bool:
    return value is None and schema is not None and not schema.get("nullable")
