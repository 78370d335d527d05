"""The scale subresource of custom resources: numbers and a selector at paths that the definition names."""

from __future__ import annotations

from typing import Any

from picluster.api.errors import FieldError, invalid_value
from picluster.api.types import Object

REPLICAS_MAX = 2**31 - 1


def at(obj: Object, path: str) -> Any:
    """The value at a simple JSON path (``.spec.replicas``); ``None`` when there is none."""
    value: Any = obj
    for step in path.removeprefix(".").split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(step)
    return value


def put(obj: Object, path: str, value: Any) -> None:
    """Set the value at a simple JSON path, in place; what is missing on the way is made."""
    *steps, last = path.removeprefix(".").split(".")
    for step in steps:
        if not isinstance(obj.get(step), dict):
            obj[step] = {}
        obj = obj[step]
    obj[last] = value


def failures(obj: Object, scale: Object, *, spec: bool = True) -> list[FieldError]:
    """What makes ``obj`` unfit to be scaled; without ``spec`` only its status is looked at."""
    found: list[FieldError] = []
    for field in ("specReplicasPath", "statusReplicasPath") if spec else ("statusReplicasPath",):
        found += _replicas(obj, scale[field])
    path = scale.get("labelSelectorPath") or ""
    selector = at(obj, path) if path else None
    if selector is not None and not isinstance(selector, str):
        found.append(invalid_value(path, "", _not_a(path, selector, "string")))
    return found


def _replicas(obj: Object, path: str) -> list[FieldError]:
    value = at(obj, path)
    if value is None:
        return []
    if not isinstance(value, int) or isinstance(value, bool):
        return [invalid_value(path, 0, _not_a(path, value, "int64"))]
    if value < 0:
        return [invalid_value(path, value, "should be a non-negative integer")]
    if value > REPLICAS_MAX:
        return [invalid_value(path, value, f"should be less than or equal to {REPLICAS_MAX}")]
    return []


def _not_a(path: str, value: Any, wanted: str) -> str:
    types = {str: "string", float: "float64", bool: "bool", dict: "map[string]interface {}", list: "[]interface {}"}
    got = types.get(type(value), "int64")
    return f"{path} accessor error: {value} is of the type {got}, expected {wanted}"
