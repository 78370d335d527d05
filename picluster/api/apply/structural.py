"""The types of custom resources, from their structural schemas (``apiextensions.k8s.io/v1``, OpenAPI v3)."""

from __future__ import annotations

from collections.abc import Callable

from picluster.api.apply.types import (
    ANY,
    BOOLEAN,
    NUMERIC,
    STRING,
    UNTYPED,
    Fields,
    Type,
    builtin,
    relation_of,
)
from picluster.api.schemas import data
from picluster.api.types import Object

_SCALARS = {"string": STRING, "integer": NUMERIC, "number": NUMERIC, "boolean": BOOLEAN}


def root(schema: Object | None) -> Type:
    """The type of a custom resource; without a schema, maps merge and lists are atomic."""
    if not schema:
        return Type("map", element=ANY, load=_envelope)
    body = _of(schema)
    element = ANY if body.kind == "any" else body.element
    return Type("map", element=element, load=lambda: {**body.fields, **_envelope()})


def _envelope() -> Fields:
    return {"apiVersion": STRING, "kind": STRING, "metadata": builtin(data.OBJECT_META)}


def _of(schema: Object) -> Type:
    if schema.get("x-kubernetes-int-or-string"):
        return UNTYPED
    kind = schema.get("type")
    if kind in _SCALARS:
        return _SCALARS[str(kind)]
    if kind == "array":
        return _list(schema)
    properties, values = schema.get("properties"), schema.get("additionalProperties")
    open_ended = bool(schema.get("x-kubernetes-preserve-unknown-fields"))
    if not properties and not isinstance(values, dict) and not schema.get("x-kubernetes-embedded-resource"):
        atomic = schema.get("x-kubernetes-map-type") == "atomic"
        return Type("map", atomic=True, element=ANY) if atomic else ANY
    element = _of(values) if isinstance(values, dict) else ANY if open_ended else None
    return Type(
        "map",
        atomic=schema.get("x-kubernetes-map-type") == "atomic",
        element=element,
        load=_loader(properties or {}, embedded=bool(schema.get("x-kubernetes-embedded-resource"))),
    )


def _loader(properties: Object, *, embedded: bool) -> Callable[[], Fields]:
    def load() -> Fields:
        fields = {name: _of(child) for name, child in properties.items()}
        return {**fields, **_envelope()} if embedded else fields

    return load


def _list(schema: Object) -> Type:
    atomic, keys = relation_of(schema)
    items = schema.get("items") or {}
    found = {name: (items.get("properties") or {}).get(name, {}).get("default") for name in keys}
    defaults = {name: value for name, value in found.items() if value is not None}
    return Type("list", atomic=atomic, element=_of(items), keys=keys, key_defaults=defaults)
