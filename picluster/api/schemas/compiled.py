"""Compiled strict validators: one yes or no for a whole object, in about a microsecond.

Yes means that the object decodes without complaint and is already in the form Kubernetes would write: no unknown field,
no null, no wrong type, nothing empty that is omitted then, times in UTC. Everything else goes to ``decode``, which is
slow and knows why. Draft 4 is used because there 1.0 is no integer, as in Go.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from picluster.api.schemas import data
from picluster.api.types import Object

INT_BOUNDS = {"int32": (-(2**31), 2**31 - 1), "int64": (-(2**63), 2**63 - 1)}
QUANTITY_PATTERN = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]+)?$"
BASE64_PATTERN = "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"
_DAY = "((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))"
_SECOND = f"[1-9][0-9]{{3}}-{_DAY}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
TIME_PATTERN = f"^{_SECOND}Z$"
MICRO_TIME_PATTERN = f"^{_SECOND}\\.[0-9]{{6}}Z$"

_SCHEMA: Object = {"$ref": f"#/definitions/{data.JSON_SCHEMA}"}
_SPECIAL: dict[str, Object] = {
    data.JSON: {"type": ["array", "boolean", "number", "object", "string"]},
    data.JSON_SCHEMA_OR_ARRAY: {"anyOf": [_SCHEMA, {"type": "array", "items": _SCHEMA, "minItems": 1}]},
    data.JSON_SCHEMA_OR_BOOL: {"anyOf": [_SCHEMA, {"type": "boolean"}]},
    data.JSON_SCHEMA_OR_STRINGS: {"anyOf": [_SCHEMA, {"type": "array", "items": {"type": "string"}, "minItems": 1}]},
    data.INT_OR_STRING: {"type": ["integer", "string"], "minimum": -(2**31), "maximum": 2**31 - 1},
    data.QUANTITY: {"type": ["string", "number"], "pattern": QUANTITY_PATTERN},
    data.TIME: {"type": "string", "pattern": TIME_PATTERN},
    data.MICRO_TIME: {"type": "string", "pattern": MICRO_TIME_PATTERN},
}
_NULLABLE_TIME: Object = {"type": ["string", "null"], "pattern": TIME_PATTERN}
_ROOT_META = "root-metadata"


@cache
def strict(name: str) -> Callable[[Any], bool]:
    """Whether a value is a clean object of definition ``name``; compiled at the first call, some 20 ms."""
    import jsonschema_rs

    schema: Object = {"$ref": f"#/definitions/{name}", "definitions": _closure(name)}
    check: Callable[[Any], bool] = jsonschema_rs.Draft4Validator(schema).is_valid
    return check


def _closure(root: str) -> Object:
    """Strict schemas of everything that ``root`` reaches.

    ``metadata`` of the root may have a null ``creationTimestamp``: Go clients send it, and the server sets it anyway.
    """
    found: Object = {}
    queue = [root]
    while queue:
        name = queue.pop()
        if name not in found:
            found[name] = _SPECIAL.get(name) or _definition(name, queue)
    metadata = found[root].get("properties", {}).get("metadata")
    if metadata == {"$ref": f"#/definitions/{data.OBJECT_META}"}:
        lenient = {**found[data.OBJECT_META]["properties"], "creationTimestamp": _NULLABLE_TIME}
        found[_ROOT_META] = {**found[data.OBJECT_META], "properties": lenient}
        found[root]["properties"]["metadata"] = {"$ref": f"#/definitions/{_ROOT_META}"}
    return found


def _definition(name: str, queue: list[str]) -> Object:
    strict = _strict(data.definitions()[name], queue)
    for field in data.OMITTED_EMPTY.get(name, ()):
        node = strict["properties"][field]
        node["minItems" if node["type"] == "array" else "minProperties"] = 1
    return strict if name in data.FREE_FORM else {"additionalProperties": False, **strict}


def _strict(node: Object, queue: list[str]) -> Object:
    name = data.target(node)
    if name is not None:
        queue.append(name)
        return {"$ref": f"#/definitions/{name}"}
    out: Object = {"type": node["type"]}
    if "properties" in node:
        out["properties"] = {field: _strict(child, queue) for field, child in node["properties"].items()}
        out["additionalProperties"] = False
    elif isinstance(node.get("additionalProperties"), dict):
        out["additionalProperties"] = _strict(node["additionalProperties"], queue)
    if "items" in node:
        out["items"] = _strict(node["items"], queue)
    if node["type"] == "integer":
        out["minimum"], out["maximum"] = INT_BOUNDS[node.get("format", "int64")]
    if node.get("format") == "byte":
        out["pattern"] = BASE64_PATTERN
    return out
