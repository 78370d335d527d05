"""How large values under a structural schema may become, at most: what costs are estimated from.

Where a schema sets no bound, the largest request does. Source: ``apiserver/pkg/cel/common/schemas.go``.
"""

from __future__ import annotations

from collections.abc import Sequence

from picluster.api.cel.types import escape
from picluster.api.types import Object

MOST = 2**64 - 1
REQUEST_MAX_BYTES = 3 * 2**20
ITEMS, VALUES, KEYS = "@items", "@values", "@keys"
_MIN_STRING, _MIN_BOOLEAN, _MIN_NUMBER, _MIN_OBJECT, _MIN_EITHER = 2, 4, 1, 2, 1
_FORMATTED = {"duration": (32, 3), "date": (12, 12), "date-time": (32, 21)}
"""By format: the most and the fewest bytes of its JSON."""


def most_elements(schema: Object, path: Sequence[str]) -> int | None:
    """The largest size of the value at ``path`` (CEL names, ``@items``, ``@values``, ``@keys``), if it is declared."""
    node: Object = schema
    for step in path:
        if step == KEYS:
            return 0
        child = _child(node, step)
        if child is None:
            return None
        node = child
    return _most(node)


def most_instances(schema: Object) -> int:
    """How many values of ``schema`` fit into one request."""
    return REQUEST_MAX_BYTES // (least_bytes(schema) + 1)


def _child(node: Object, step: str) -> Object | None:
    if step == ITEMS:
        child = node.get("items")
    elif step == VALUES:
        child = node.get("additionalProperties")
    else:
        properties = node.get("properties") or {}
        child = next((each for name, each in properties.items() if escape(name) == step), None)
    return child if isinstance(child, dict) else None


def _most(node: Object) -> int:
    if node.get("x-kubernetes-int-or-string"):
        return 4 * int(node["maxLength"]) if "maxLength" in node else REQUEST_MAX_BYTES - 2
    kind = node.get("type")
    if kind == "string":
        return _longest(node)
    if kind == "array":
        items = node.get("items")
        if "maxItems" in node or not isinstance(items, dict):
            return max(0, int(node.get("maxItems", 0)))
        return (REQUEST_MAX_BYTES - 2) // (least_bytes(items) + 1)
    values = node.get("additionalProperties")
    if isinstance(values, dict):
        if "maxProperties" in node:
            return max(0, int(node["maxProperties"]))
        return (REQUEST_MAX_BYTES - 2) // (least_bytes(values) + 6)
    return 0


def _longest(node: Object) -> int:
    form = node.get("format", "")
    if form in _FORMATTED:
        return _FORMATTED[form][0]
    if "maxLength" in node:
        return max(0, int(node["maxLength"])) * (1 if form == "byte" else 4)
    if node.get("enum") and form != "byte":
        return max((len(each.encode()) for each in node["enum"] if isinstance(each, str)), default=0)
    return REQUEST_MAX_BYTES - 2


def least_bytes(node: Object) -> int:
    """The fewest bytes of JSON that a value of ``node`` takes."""
    if node.get("x-kubernetes-int-or-string"):
        return _MIN_EITHER
    kind = node.get("type")
    if kind == "string":
        return _FORMATTED.get(node.get("format", ""), (0, _MIN_STRING))[1]
    if kind == "boolean":
        return _MIN_BOOLEAN
    if kind in ("integer", "number"):
        return _MIN_NUMBER
    if kind != "object" or isinstance(node.get("additionalProperties"), dict):
        return _MIN_OBJECT
    properties, size = node.get("properties") or {}, _MIN_OBJECT
    for name in node.get("required") or ():
        child = properties.get(name)
        if child is not None and "default" not in child:
            size += len(name) + least_bytes(child) + 4
    return size
