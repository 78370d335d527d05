"""Dropping what a structural schema does not know (``apiserver/schema/pruning``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from picluster.api.types import Object

PRESERVE = "x-kubernetes-preserve-unknown-fields"
EMBEDDED = "x-kubernetes-embedded-resource"
META_FIELDS = frozenset({"apiVersion", "kind", "metadata"})


def prune(value: Any, schema: Object, *, root: bool = True) -> list[str]:
    """Drop unknown fields in place and return their paths; a ``root`` keeps what every object has."""
    unknown: list[str] = []
    _prune(value, {**schema, EMBEDDED: True} if root else schema, "", unknown)
    return unknown


def additional(schema: Object) -> Object | None:
    """The schema of a map's values; ``additionalProperties: true`` allows any key and knows nothing below it."""
    found = schema.get("additionalProperties")
    return found if isinstance(found, dict) else None


def anywhere(schema: Any, has: Callable[[Object], bool]) -> bool:
    """Whether any node that describes values (not only restricts them) is such a one."""
    if isinstance(schema, list):
        return any(anywhere(child, has) for child in schema)
    if not isinstance(schema, dict):
        return False
    return has(schema) or anywhere(
        [*(schema.get("properties") or {}).values(), schema.get("items"), additional(schema)], has
    )


def _prune(value: Any, schema: Object | None, path: str, unknown: list[str]) -> None:
    if isinstance(value, dict):
        _prune_map(value, schema, path, unknown)
    elif isinstance(value, list):
        preserved = schema is not None and schema.get(PRESERVE)
        items = schema.get("items") if schema is not None else None
        if preserved and items is None:
            return
        if preserved:
            items = {PRESERVE: True, **(items or {})}
        for index, element in enumerate(value):
            _prune(element, items, f"{path}[{index}]", unknown)


def _prune_map(value: Object, schema: Object | None, path: str, unknown: list[str]) -> None:
    schema = schema or {}
    properties, preserved = schema.get("properties") or {}, schema.get(PRESERVE)
    mapped, embedded = schema.get("additionalProperties"), schema.get(EMBEDDED)
    for key in list(value):
        if embedded and key in META_FIELDS:
            continue
        where = f"{path}.{key}" if path else key
        if key in properties:
            _prune(value[key], properties[key], where, unknown)
        elif mapped is not None:
            _prune(value[key], additional(schema), where, unknown)
        elif not preserved:
            unknown.append(where)
            del value[key]
