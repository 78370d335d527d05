"""The slow, exact reading of an object: what Go's decoder would say, and what it would have made of it.

``Decoder.read`` gives a clean copy: unknown fields and null fields gone, times in UTC, base64 without line breaks. The
first wrong type raises ``DecodeError`` with the words of ``encoding/json``: the innermost struct, the path without
indexes, and the Go type.
"""

from __future__ import annotations

import re
from typing import Any

from picluster.api import meta
from picluster.api.schemas import compiled, data
from picluster.api.types import Object

_QUANTITY_RE = re.compile(compiled.QUANTITY_PATTERN)
_BASE64_RE = re.compile(compiled.BASE64_PATTERN)
_QUANTITY_ERROR = (
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"  # its own message
)
_LOOSE_QUANTITY_RE = re.compile("[+-]?[0-9.]+[eEinumkKMGTP]*[-+]?[0-9]*")
_TIME_LAYOUT = "2006-01-02T15:04:05Z07:00"
_TIME_PARTS = (
    ("2006", r"\d{4}"), ("-", "-"), ("01", r"\d{2}"), ("-", "-"), ("02", r"\d{2}"), ("T", "T"), ("15", r"\d{2}"),
    (":", ":"), ("04", r"\d{2}"), (":", ":"), ("05", r"\d{2}(\.\d+)?"), ("Z07:00", r"Z$|[+-]\d{2}:\d{2}$"),
)  # fmt: skip


class DecodeError(ValueError):
    """A value has a type that its field cannot hold; the message is the decoder's."""


class Decoder:
    """Reads one object; ``unknown`` collects the paths of unknown fields in document order."""

    def __init__(self) -> None:
        self.unknown: list[str] = []

    def read(self, name: str, value: Any) -> Any:
        if not isinstance(value, dict):
            raise DecodeError(f"json: cannot unmarshal {_go_kind(value)} into Go value of type {_go_name(name)}")
        return self._struct(name, data.definitions()[name], value, "", "")

    def _struct(self, name: str, definition: Object, value: Object, path: str, dotted: str) -> Object:
        """``path`` names the place with indexes, ``dotted`` without, as Go's decoder does."""
        fields, struct = definition.get("properties", {}), name.rpartition(".")[2]
        omitted = data.OMITTED_EMPTY.get(name, ())
        clean: Object = {}
        for key, child in value.items():
            node = fields.get(key)
            where = f"{path}.{key}" if path else key
            if node is None:
                self.unknown.append(where)
            elif child is not None:
                read = self._value(node, child, where, f"{dotted}.{key}" if dotted else key, struct)
                if read is not None and (read or key not in omitted):
                    clean[key] = read
        return clean

    def _value(self, node: Object, value: Any, path: str, dotted: str, struct: str) -> Any:
        name = data.target(node)
        if name in _READERS:
            return _READERS[name](value, dotted, struct)
        node = data.follow(node)
        kind = node["type"]
        if kind == "object":
            if not isinstance(value, dict):
                raise _mismatch(value, node, name, dotted, struct)
            if name is not None and name not in data.FREE_FORM:
                return self._struct(name, node, value, path, dotted)
            child = node.get("additionalProperties")
            return value if child is None else self._map(child, value, path, dotted, struct)
        if kind == "array":
            if not isinstance(value, list):
                raise _mismatch(value, node, name, dotted, struct)
            return [
                self._element(node["items"], child, f"{path}[{index}]", dotted, struct)
                for index, child in enumerate(value)
            ]
        return _scalar(node, value, dotted, struct)

    def _map(self, node: Object, value: Object, path: str, dotted: str, struct: str) -> Object:
        return {key: self._element(node, child, f"{path}.{key}", dotted, struct) for key, child in value.items()}

    def _element(self, node: Object, value: Any, path: str, dotted: str, struct: str) -> Any:
        return _zero(node) if value is None else self._value(node, value, path, dotted, struct)


def _zero(node: Object) -> Any:
    """What a null in a list or a map becomes: the zero value of its Go type."""
    name = data.target(node)
    if name in data.UNTYPED:
        return None
    if name == data.QUANTITY:
        return "0"
    if name == data.INT_OR_STRING:
        return 0
    return {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "number": float}[
        data.follow(node)["type"]
    ]()


def _scalar(node: Object, value: Any, dotted: str, struct: str) -> Any:
    if node["type"] == "integer":
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _mismatch(value, node, None, dotted, struct)
        low, high = compiled.INT_BOUNDS[node.get("format", "int64")]
        if isinstance(value, float) or not low <= value <= high:
            raise _unmarshal(f"number {value}", _go_type(node, None), dotted, struct)
        return value
    if node["type"] == "number":
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _mismatch(value, node, None, dotted, struct)
        return value
    if not isinstance(value, bool if node["type"] == "boolean" else str):
        raise _mismatch(value, node, None, dotted, struct)
    return _base64(value) if isinstance(value, str) and node.get("format") == "byte" else value


def _base64(value: str) -> str:
    value = value.replace("\r", "").replace("\n", "")
    if not _BASE64_RE.match(value):
        good = re.match("[A-Za-z0-9+/]*", value)
        position = good.end() if good else 0
        raise DecodeError(f"illegal base64 data at input byte {position if position < len(value) else position & ~3}")
    return value


def _quantity(value: Any, dotted: str, struct: str) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if not isinstance(value, str) or not _LOOSE_QUANTITY_RE.fullmatch(value):
        raise DecodeError(_QUANTITY_ERROR)
    if not _QUANTITY_RE.match(value):
        numeric = re.match(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)(?![0-9.])", value)
        raise DecodeError(
            "unable to parse quantity's suffix" if numeric else "unable to parse numeric part of quantity"
        )
    return value


def _int_or_string(value: Any, dotted: str, struct: str) -> Any:
    if isinstance(value, str):
        return value
    return _scalar({"type": "integer", "format": "int32"}, value, dotted, struct)


def _time(value: Any, dotted: str, struct: str) -> str:
    return meta.now_rfc3339(_instant(value, dotted, struct))


def _micro_time(value: Any, dotted: str, struct: str) -> str:
    return meta.now_micro(_instant(value, dotted, struct))


def _instant(value: Any, dotted: str, struct: str) -> float:
    text: str = _scalar({"type": "string"}, value, dotted, struct)
    rest = text
    for layout, pattern in _TIME_PARTS:
        found = re.match(pattern, rest)
        if found is None:
            raise DecodeError(f'parsing time "{text}" as "{_TIME_LAYOUT}": cannot parse "{rest}" as "{layout}"')
        rest = rest[found.end() :]
    try:
        return meta.parse_time(text)
    except ValueError as error:
        unit = next(
            (unit for unit in ("month", "day", "hour", "minute", "second") if str(error).startswith(unit)), "day"
        )
        raise DecodeError(f'parsing time "{text}": {unit} out of range') from None


def _json(value: Any, dotted: str, struct: str) -> Any:
    return value


def _json_schema(value: Any) -> Any:
    """A schema below one of the types that decode themselves: in there, Go drops unknown fields without a word."""
    return {} if value is None else Decoder().read(data.JSON_SCHEMA, value)


def _json_schema_or_array(value: Any, dotted: str, struct: str) -> Any:
    if isinstance(value, list):
        return [_json_schema(element) for element in value] or None
    return _json_schema(value) if isinstance(value, dict) else None


def _json_schema_or_bool(value: Any, dotted: str, struct: str) -> Any:
    if isinstance(value, bool):
        return value
    if not isinstance(value, dict):
        raise DecodeError("boolean or JSON schema expected")
    return _json_schema(value)


def _json_schema_or_strings(value: Any, dotted: str, struct: str) -> Any:
    if isinstance(value, list):
        text: Object = {"type": "string"}
        return ["" if element is None else _scalar(text, element, dotted, struct) for element in value] or None
    return _json_schema(value) if isinstance(value, dict) else None


_READERS = {
    data.JSON: _json,
    data.JSON_SCHEMA_OR_ARRAY: _json_schema_or_array,
    data.JSON_SCHEMA_OR_BOOL: _json_schema_or_bool,
    data.JSON_SCHEMA_OR_STRINGS: _json_schema_or_strings,
    data.QUANTITY: _quantity,
    data.INT_OR_STRING: _int_or_string,
    data.TIME: _time,
    data.MICRO_TIME: _micro_time,
}


def _mismatch(value: Any, node: Object, name: str | None, dotted: str, struct: str) -> DecodeError:
    return _unmarshal(_go_kind(value), _go_type(node, name), dotted, struct)


def _unmarshal(what: str, go_type: str, dotted: str, struct: str) -> DecodeError:
    return DecodeError(f"json: cannot unmarshal {what} into Go struct field {struct}.{dotted} of type {go_type}")


def _go_kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def _go_name(name: str) -> str:
    return ".".join(name.split(".")[-2:])


def _go_type(node: Object, name: str | None) -> str:
    name = name or data.target(node)
    if name is not None:
        return _go_name(name)
    match node["type"]:
        case "array":
            return "[]" + _go_type(node["items"], None)
        case "object":
            return "map[string]" + _go_type(node["additionalProperties"], None)
        case "boolean":
            return "bool"
        case "integer":
            return str(node.get("format", "int64"))
        case "number":
            return "float64"
    return "[]uint8" if node.get("format") == "byte" else "string"
