"""CustomResourceDefinitions: formats in their schemas that nobody checks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from picluster.api.structural.formats import FORMATS
from picluster.api.types import Object

NUMBERS = frozenset(("int32", "int64", "float", "double"))
ONE = ("items", "not", "additionalProperties", "additionalItems")
SEVERAL = ("allOf", "anyOf", "oneOf")
NAMED = ("properties", "patternProperties", "definitions")


def create(definition: Object) -> list[str]:
    return [_advice(name) for name in _unknown(definition)]


def update(new: Object, old: Object) -> list[str]:
    """Only of formats that were not there before."""
    known = set(_unknown(old))
    return [_advice(name) for name in _unknown(new) if name not in known]


def _advice(name: str) -> str:
    return f'unrecognized format "{name}"'


def _unknown(definition: Object) -> list[str]:
    """Each once, in the order of the versions."""
    found: dict[str, None] = {}
    for version in definition["spec"].get("versions") or ():
        for name in _formats((version.get("schema") or {}).get("openAPIV3Schema")):
            if name not in NUMBERS and name not in FORMATS and name.replace("-", "") not in FORMATS:
                found[name] = None
    return list(found)


def _formats(schema: Any) -> Iterator[str]:
    if not isinstance(schema, dict):
        return
    if schema.get("format"):
        yield schema["format"]
    for field in ONE:
        yield from _formats(schema.get(field))
    for field in SEVERAL:
        for part in schema.get(field) or ():
            yield from _formats(part)
    for field in NAMED:
        for part in (schema.get(field) or {}).values():
            yield from _formats(part)
