"""Whether a schema is structural: everything it validates it also names (``ValidateStructural``, KEP-1693)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from picluster.api.errors import FieldError, forbidden_field, invalid_value, required
from picluster.api.structural.patterns import PatternError, matcher
from picluster.api.structural.prune import EMBEDDED, PRESERVE, additional
from picluster.api.structural.validate import INT_OR_STRING
from picluster.api.types import Object

ROOT, ITEM, FIELD = range(3)
_NO_TYPE = {
    ROOT: "must not be empty at the root",
    ITEM: "must not be empty for specified array items",
    FIELD: "must not be empty for specified object fields",
}
_INT_OR_STRING = [{"type": "integer"}, {"type": "string"}]
_EMPTY, _UNDEFINED, _FALSE = "must be empty to be structural", "must be undefined to be structural", "must be false"
_NOT_NESTED = {
    "type": _EMPTY,
    "additionalProperties": _UNDEFINED,
    "default": _UNDEFINED,
    "title": _EMPTY,
    "description": _EMPTY,
    "nullable": f"{_FALSE} to be structural",
    "externalDocs": _UNDEFINED,
    PRESERVE: f"{_FALSE} to be structural",
    EMBEDDED: f"{_FALSE} to be structural",
    INT_OR_STRING: f"{_FALSE} to be structural",
    "x-kubernetes-list-map-keys": _EMPTY,
    "x-kubernetes-list-type": _UNDEFINED,
    "x-kubernetes-map-type": _UNDEFINED,
    "x-kubernetes-validations": _EMPTY,
}
"""What may not stand below ``allOf``, ``anyOf``, ``oneOf`` and ``not``."""

Found = Iterator[FieldError]


def failures(schema: Object, path: str) -> list[FieldError]:
    """Why ``schema`` is not structural, sorted; empty when it is."""
    found = [*_invariants(schema, ROOT, path), *_completeness(schema, path)]
    return sorted(found, key=str)


def key(path: str, name: str) -> str:
    return f"{path}[{name}]"


def _invariants(schema: Object, level: int, path: str) -> Found:
    items = schema.get("items")
    if schema.get("type") == "array" and not isinstance(items, dict):
        yield required(f"{path}.items", "must be specified")
    if isinstance(items, dict):
        yield from _invariants(items, ITEM, f"{path}.items")
    for name, child in (schema.get("properties") or {}).items():
        yield from _invariants(child, FIELD, key(f"{path}.properties", name))
    if "additionalProperties" in schema and level == ROOT:
        yield forbidden_field(f"{path}.additionalProperties", "must not be used at the root")
    if (mapped := additional(schema)) is not None:
        yield from _invariants(mapped, FIELD, f"{path}.additionalProperties")
    yield from _extensions(schema, path)
    yield from _values(schema, path, _skips(schema))
    yield from _type(schema, level, path)
    yield from _meta(schema, level, path)


def _skips(schema: Object) -> str:
    """Where the two permitted forms of int-or-string have their types."""
    if schema.get("anyOf") == _INT_OR_STRING:
        return "anyOf"
    first = (schema.get("allOf") or [{}])[0]
    return "allOf" if first.get("anyOf") == _INT_OR_STRING else ""


def _extensions(schema: Object, path: str) -> Found:
    if schema.get(INT_OR_STRING):
        for name in (PRESERVE, EMBEDDED):
            if schema.get(name):
                yield invalid_value(f"{path}.{name}", True, f"must be false if {INT_OR_STRING} is true")


def _type(schema: Object, level: int, path: str) -> Found:
    kind, where = schema.get("type") or "", f"{path}.type"
    if schema.get(EMBEDDED) and kind != "object":
        why = f"must be object if {EMBEDDED} is true"
        yield invalid_value(where, kind, why) if kind else required(where, why)
    elif not kind and not schema.get(INT_OR_STRING) and not schema.get(PRESERVE):
        yield required(where, _NO_TYPE[level])
    if schema.get(EMBEDDED) and "additionalProperties" in schema:
        yield forbidden_field(f"{path}.additionalProperties", f"must not be used if {EMBEDDED} is set")
    if level == ROOT and kind and kind != "object":
        yield invalid_value(where, kind, "must be object at the root")


def _meta(schema: Object, level: int, path: str) -> Found:
    properties = schema.get("properties") or {}
    checked = level == ROOT or schema.get(EMBEDDED)
    for name in ("kind", "apiVersion"):
        if checked and name in properties and properties[name].get("type") != "string":
            where = f"{key(f'{path}.properties', name)}.type"
            yield invalid_value(where, properties[name].get("type") or "", "must be string")
    if "metadata" in properties:
        metadata, where = properties["metadata"], key(f"{path}.properties", "metadata")
        if checked and metadata.get("type") != "object":
            yield invalid_value(f"{where}.type", metadata.get("type") or "", "must be object")
        if level == ROOT and not _only_names(metadata):
            why = "must not specify anything other than name and generateName, but metadata is implicitly specified"
            yield forbidden_field(where, why)
    if schema.get(EMBEDDED) and not schema.get(PRESERVE) and not properties:
        yield required(f"{path}.properties", f"must not be empty if {EMBEDDED} is true without {PRESERVE}")


def _only_names(metadata: Object) -> bool:
    allowed = {"type", "properties", "default"}
    return set(metadata) <= allowed and set(metadata.get("properties") or ()) <= {"name", "generateName"}


def _values(schema: Object, path: str, skip: str = "") -> Found:
    for junctor in ("anyOf", "allOf", "oneOf"):
        if junctor == skip == "anyOf":
            continue
        for index, child in enumerate(schema.get(junctor) or ()):
            inner = "anyOf" if junctor == skip == "allOf" and index == 0 else ""
            yield from _nested(child, f"{path}.{junctor}[{index}]", inner)
    if "not" in schema:
        yield from _nested(schema["not"], f"{path}.not")
    if pattern := schema.get("pattern"):
        try:
            matcher(pattern)
        except PatternError as error:
            why = f"must be a valid regular expression, but isn't: {error}"
            yield invalid_value(f"{path}.pattern", pattern, why)


def _nested(schema: Object, path: str, skip: str = "") -> Found:
    yield from _values(schema, path, skip)
    if isinstance(schema.get("items"), dict):
        yield from _nested(schema["items"], f"{path}.items")
    properties = schema.get("properties") or {}
    for name, child in properties.items():
        yield from _nested(child, key(f"{path}.properties", name))
    for name, why in _NOT_NESTED.items():
        if schema.get(name) or (name in ("default", "additionalProperties") and name in schema):
            yield forbidden_field(f"{path}.{name}", why)
    if "metadata" in properties:
        yield forbidden_field(key(f"{path}.properties", "metadata"), "must not be specified in a nested context")


def _completeness(schema: Object, path: str) -> Found:
    """Every field that a junctor speaks of is named outside of it (``validateStructuralCompleteness``)."""
    for junctor in ("allOf", "anyOf", "oneOf"):
        for index, child in enumerate(schema.get(junctor) or ()):
            yield from _named(child, schema, path, f"{path}.{junctor}[{index}]")
    if "not" in schema:
        yield from _named(schema["not"], schema, path, f"{path}.not")
    for name, child in (schema.get("properties") or {}).items():
        yield from _completeness(child, key(f"{path}.properties", name))
    for name in ("items", "additionalProperties"):
        if isinstance(schema.get(name), dict):
            yield from _completeness(schema[name], f"{path}.{name}")


def _named(nested: Object, schema: Any, path: str, nested_path: str) -> Found:
    for junctor in ("allOf", "anyOf", "oneOf"):
        for index, child in enumerate(nested.get(junctor) or ()):
            yield from _named(child, schema, path, f"{nested_path}.{junctor}[{index}]")
    if "not" in nested:
        yield from _named(nested["not"], schema, path, f"{nested_path}.not")
    known = schema.get("properties") or {}
    for name, child in (nested.get("properties") or {}).items():
        where = key(f"{path}.properties", name)
        if name not in known:
            yield required(where, f"because it is defined in {key(f'{nested_path}.properties', name)}")
        else:
            yield from _named(child, known[name], where, key(f"{nested_path}.properties", name))
    if isinstance(nested.get("items"), dict):
        items = schema.get("items")
        if not isinstance(items, dict):
            yield required(f"{path}.items", f"because it is defined in {nested_path}.items")
        else:
            yield from _named(nested["items"], items, f"{path}.items", f"{nested_path}.items")
