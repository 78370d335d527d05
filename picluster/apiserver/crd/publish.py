"""Custom resources in OpenAPI: the definition of an object and of a list (``controller/openapi/builder``). PURE.

Definitions are in v3 form, with references as v2 has them; ``as_v2`` takes out what v2 and kubectl cannot read.
"""

from __future__ import annotations

from typing import Any

from picluster.api.resources import Resource
from picluster.api.schemas import data
from picluster.api.structural.prune import EMBEDDED, PRESERVE, additional
from picluster.api.structural.validate import INT_OR_STRING
from picluster.api.types import Object

_META = "io.k8s.apimachinery.pkg.apis.meta.v1."
_DOCS = "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md"
_TYPE_META: dict[str, Object] = {
    "apiVersion": {
        "description": "APIVersion defines the versioned schema of this representation of an object. Servers should "
        "convert recognized schemas to the latest internal value, and may reject unrecognized values. More info: "
        f"{_DOCS}#resources",
        "type": "string",
    },
    "kind": {
        "description": "Kind is a string value representing the REST resource this object represents. Servers may infer"
        " this from the endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: "
        f"{_DOCS}#types-kinds",
        "type": "string",
    },
}
_EMBEDDED_META: dict[str, Object] = {
    "apiVersion": {
        "description": "apiVersion defines the versioned schema of this representation of an object. More info: "
        f"{_DOCS}#resources",
        "type": "string",
    },
    "kind": {
        "description": "kind is a string value representing the type of this object. In CamelCase. More info: "
        f"{_DOCS}#types-kinds",
        "type": "string",
    },
}
_METADATA = {"description": f"Standard object's metadata. More info: {_DOCS}#metadata"}
_LIST_METADATA = {"description": f"Standard list metadata. More info: {_DOCS}#types-kinds"}
_JUNCTORS = ("allOf", "anyOf", "oneOf", "not")


def list_definition(row: Resource, name: str) -> Object:
    """The definition of a list of objects whose definition is called ``name``."""
    return {
        "description": f"{row.list_kind} is a list of {row.kind}",
        "type": "object",
        "required": ["items"],
        "properties": {
            **_TYPE_META,
            "items": {
                "description": f"List of {row.plural}. More info: {_DOCS}",
                "type": "array",
                "items": {"$ref": f"#/definitions/{name}"},
            },
            "metadata": _reference("ListMeta", _LIST_METADATA),
        },
        "x-kubernetes-group-version-kind": [_gvk(row, row.list_kind)],
    }


def as_v2(definition: Object) -> Object:
    """What OpenAPI v2 can say of a definition, in the way that kubectl takes it (``ToStructuralOpenAPIV2``)."""
    if definition.get(PRESERVE):
        gvk = "x-kubernetes-group-version-kind"
        return {"type": "object", **({gvk: definition[gvk]} if gvk in definition else {})}
    return _v2(definition)


def definition(row: Resource, schema: Object) -> Object:
    """The definition of an object of ``row``; an empty schema says nothing of it."""
    gvk = {"x-kubernetes-group-version-kind": [_gvk(row, row.kind)]}
    if not schema:
        return {"type": "object", **gvk}
    body = _embedded(schema)
    properties = {**(body.get("properties") or {}), "metadata": _reference("ObjectMeta", _METADATA), **_TYPE_META}
    return {**body, "properties": properties, **gvk}


def _embedded(schema: Any) -> Any:
    """A schema with what every embedded object has, and with its values' rules as they are."""
    if not isinstance(schema, dict):
        return schema
    made = dict(schema)
    if "properties" in made:
        made["properties"] = {name: _embedded(child) for name, child in made["properties"].items()}
    for field in ("items", "additionalProperties"):
        if isinstance(made.get(field), dict):
            made[field] = _embedded(made[field])
    if made.get(INT_OR_STRING) and "anyOf" not in made:
        made["anyOf"] = [{"type": "integer"}, {"type": "string"}]
    if made.get(EMBEDDED):
        metadata = _reference("ObjectMeta", _METADATA)
        made["properties"] = {**(made.get("properties") or {}), **_EMBEDDED_META, "metadata": metadata}
        made["required"] = [
            *made.get("required", ()),
            *[n for n in ("kind", "apiVersion") if n not in made.get("required", ())],
        ]
    return made


def _v2(schema: Object) -> Object:
    made = {field: value for field, value in schema.items() if field not in _JUNCTORS}
    if made.pop("nullable", False):
        for field in ("type", "items", "properties"):
            made.pop(field, None)
    if made.get(PRESERVE):
        for field in ("items", "properties"):
            made.pop(field, None)
        if made.get("type") == "object":
            del made["type"]
    if made.get("type") == "array" and "items" not in made:
        del made["type"]
    if "properties" in made:
        optional = {name for name, child in made["properties"].items() if child.get("nullable")}
        required = [name for name in made.pop("required", ()) if name not in optional]
        made |= {"required": required} if required else {}
        made["properties"] = {name: _v2(child) for name, child in made["properties"].items()}
    if isinstance(made.get("items"), dict):
        made["items"] = _v2(made["items"])
    if (mapped := additional(made)) is not None:
        if mapped.get("nullable"):
            made.pop("required", None)
        made["additionalProperties"] = _v2(mapped)
    return made


def _reference(kind: str, more: Object) -> Object:
    assert f"{_META}{kind}" in data.definitions()
    return {**more, "$ref": f"#/definitions/{_META}{kind}"}


def _gvk(row: Resource, kind: str) -> Object:
    return {"group": row.group, "version": row.version, "kind": kind}
