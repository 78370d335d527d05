"""Objects as a Go client writes them in protobuf: the other direction of ``picluster.api.protobuf``.

Like the Go code that Kubernetes generates, it writes every field that is not held by pointer, zero or not, in the order
of their numbers.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable
from functools import partial
from typing import Any

from picluster.api import meta
from picluster.api.resources import Resource
from picluster.api.schemas import data, numbers
from picluster.api.types import Object

MAGIC = b"k8s\x00"


def body(resource: Resource, obj: Object) -> bytes:
    """The whole body of a request that sends ``obj``."""
    return envelope(resource.api_version, resource.kind, message(resource.schema, obj))


def envelope(api_version: str, kind: str, raw: bytes, encoding: str = "") -> bytes:
    types = text(1, api_version) + text(2, kind)
    return MAGIC + chunk(1, types) + chunk(2, raw) + text(3, encoding) + text(4, "")


def message(name: str, obj: Object) -> bytes:
    fields = data.definitions()[name].get("properties", {})
    described = numbers.messages()[name]
    tree: dict[int, Any] = {}
    for field, path in described["numbers"].items():
        *embedded, number = path if isinstance(path, list) else [path]
        level = tree
        for step in embedded:
            level = level.setdefault(step, {})
        set_or_zero = field in obj or field not in described["pointers"]
        level[number] = _field(number, fields[field], obj.get(field)) if set_or_zero else b""
    return _joined(tree)


def text(number: int, value: str) -> bytes:
    return chunk(number, value.encode())


def chunk(number: int, value: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(value)) + value


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def number_field(number: int, value: int) -> bytes:
    return varint(number << 3) + varint(value)


def double(number: int, value: float) -> bytes:
    return varint(number << 3 | 1) + struct.pack("<d", value)


def _joined(tree: dict[int, Any]) -> bytes:
    """Messages that are embedded are tables in the table of their parent."""
    return b"".join(
        chunk(number, _joined(part)) if isinstance(part, dict) else part for number, part in sorted(tree.items())
    )


def _field(number: int, node: Object, value: Any) -> bytes:
    """``value`` is None for the zero value."""
    name = data.target(node)
    if name in _SPECIAL:
        return chunk(number, _SPECIAL[name](value))
    if name is not None:
        return chunk(number, message(name, value or {}))
    match node["type"]:
        case "array":
            return b"".join(_field(number, node["items"], element) for element in value or ())
        case "object":
            return b"".join(
                chunk(number, text(1, key) + _map_value(node["additionalProperties"], child))
                for key, child in sorted((value or {}).items())
            )
        case "integer" | "boolean":
            return number_field(number, value or 0)
        case "number":
            return double(number, value or 0)
    return chunk(number, base64.b64decode(value or "") if node.get("format") == "byte" else (value or "").encode())


def _map_value(node: Object, value: Any) -> bytes:
    """A list is wrapped into a message of its own."""
    return chunk(2, _field(1, node, value)) if node.get("type") == "array" else _field(2, node, value)


def _time(value: str | None) -> bytes:
    """Whole seconds and nanoseconds; nothing at all for the zero time."""
    if value is None:
        return b""
    nanos = int(value[20:-1]) * 1000 if "." in value else 0
    return number_field(1, int(meta.parse_time(value) // 1)) + number_field(2, nanos)


def _quantity(value: Any) -> bytes:
    return text(1, str(value or "0"))


def _int_or_string(value: Any) -> bytes:
    is_text = isinstance(value, str)
    return number_field(1, is_text) + number_field(2, 0 if is_text else value or 0) + text(3, value if is_text else "")


def _raw_json(value: Any) -> bytes:
    return chunk(1, b"" if value is None else json.dumps(value).encode())


def _schema_or(name: str, value: Any) -> bytes:
    schema = value if isinstance(value, dict) else None
    if name == data.JSON_SCHEMA_OR_BOOL:
        allows = number_field(1, value is not False and value is not None)
        return allows + (b"" if schema is None else chunk(2, message(data.JSON_SCHEMA, schema)))
    if schema is not None:
        return chunk(1, message(data.JSON_SCHEMA, schema))
    if name == data.JSON_SCHEMA_OR_STRINGS:
        return b"".join(text(2, element) for element in value or ())
    return b"".join(chunk(2, message(data.JSON_SCHEMA, element)) for element in value or ())


_SPECIAL: dict[str | None, Callable[[Any], bytes]] = {
    data.TIME: _time,
    data.MICRO_TIME: _time,
    data.QUANTITY: _quantity,
    data.INT_OR_STRING: _int_or_string,
    data.FIELDS_V1: _raw_json,
    data.RAW_EXTENSION: _raw_json,
    data.JSON: _raw_json,
    **{name: partial(_schema_or, name) for name in data.UNTYPED - {data.JSON}},
}
