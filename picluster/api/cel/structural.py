"""Types of CEL from structural schemas, of custom resources and of our own kinds.

What has no type in CEL (unknown fields that are kept, fields whose names cannot be written) is not declared. Source:
``apiserver/pkg/cel/common.SchemaDeclType``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from picluster.api.cel import types
from picluster.api.cel.types import Field, ListType, ObjectType, Type, escape, map_of
from picluster.api.schemas import data
from picluster.api.types import Object

SELF = "selfType"
BUILT_IN_TYPES_MAX = 64
_DEPTH_MAX = 32
_FORMATS = {
    "byte": types.BYTES,
    "duration": types.DURATION,
    "date": types.TIMESTAMP,
    "date-time": types.TIMESTAMP,
}
_SCALARS = {"boolean": types.BOOL, "number": types.DOUBLE, "integer": types.INT}
_STRING: Object = {"type": "string"}
_ROOT_PROPERTIES: Object = {
    "kind": _STRING,
    "apiVersion": _STRING,
    "metadata": {"type": "object", "properties": {"name": _STRING, "generateName": _STRING}},
}

Follow = Callable[[Object], Object]


def schema_type(schema: Object, *, root: bool = False, name: str = SELF) -> Type | None:
    """The type of what ``schema`` (OpenAPI v3, structural) describes, or ``None`` when expressions cannot see it.

    ``root`` is for the schema of a whole resource, which has a name and a kind even when it does not say so.
    """
    return _Declarer(lambda node: node, embedded=True).declare(schema, name, root=root)


@lru_cache(maxsize=BUILT_IN_TYPES_MAX)
def built_in_type(definition: str) -> Type:
    """The type of a generated definition, as ``Resource.schema`` names it; ``dyn`` if it has none."""
    declared = _Declarer(data.follow, embedded=False).declare({"$ref": f"#/definitions/{definition}"}, definition)
    return types.DYN if declared is None else declared


class _Declarer:
    def __init__(self, follow: Follow, *, embedded: bool) -> None:
        self._follow = follow
        self._embedded = embedded
        self._depth = 0

    def declare(self, schema: Object, name: str, *, root: bool = False) -> Type | None:
        if data.target(schema) == data.QUANTITY:
            return types.DYN
        node = self._follow(schema)
        if node.get("x-kubernetes-int-or-string") or node.get("format") == "int-or-string":
            return types.DYN
        if self._depth > _DEPTH_MAX:
            return types.DYN
        self._depth += 1
        try:
            return self._of_kind(node, name, root=root)
        finally:
            self._depth -= 1

    def _of_kind(self, node: Object, name: str, *, root: bool) -> Type | None:
        kind = node.get("type")
        if kind == "array":
            return self._list(node, name)
        if kind == "object" or (kind is None and "properties" in node):
            return self._object(node, name, root=root)
        if kind == "string":
            return _FORMATS.get(node.get("format", ""), types.STRING)
        return _SCALARS.get(str(kind))

    def _child(self, schema: Object, name: str) -> Type | None:
        return self.declare(schema, name, root=self._embedded and bool(schema.get("x-kubernetes-embedded-resource")))

    def _list(self, node: Object, name: str) -> Type | None:
        items = node.get("items")
        element = self._child(items, f"{name}.@idx") if isinstance(items, dict) else None
        if element is None:
            return None
        keys = tuple(node.get("x-kubernetes-list-map-keys") or ())
        return ListType(element, node.get("x-kubernetes-list-type", ""), keys)

    def _object(self, node: Object, name: str, *, root: bool) -> Type | None:
        values = node.get("additionalProperties")
        if isinstance(values, dict) and not node.get("properties"):
            value = self._child(values, f"{name}.@elem")
            return None if value is None else map_of(types.STRING, value)
        properties: dict[str, Any] = dict(node.get("properties") or {})
        if root:
            properties.update(self._root_properties(properties))
        fields: dict[str, Field] = {}
        for json_name, schema in properties.items():
            cel_name = escape(json_name)
            declared = self._child(schema, f"{name}.{cel_name}") if cel_name is not None else None
            if cel_name is not None and declared is not None:
                fields[cel_name] = Field(json_name, declared)
        return ObjectType(name, fields)

    def _root_properties(self, properties: dict[str, Any]) -> Object:
        """Kind, version and names, added where the schema leaves them out."""
        metadata = properties.get("metadata") or {}
        named = {**(metadata.get("properties") or {}), **_ROOT_PROPERTIES["metadata"]["properties"]}
        return {**_ROOT_PROPERTIES, "metadata": {"type": "object", "properties": named}}
