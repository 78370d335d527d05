"""Request bodies in Kubernetes' protobuf form, as the plain objects that the same request in JSON would carry. PURE.

``kubectl`` since 1.32 and typed client-go clients send what they create and update as ``application/vnd.kubernetes.
protobuf``: four magic bytes and a ``runtime.Unknown``, which names version and kind around the bytes of the object's
message. Nothing is generated for this: definitions say which types the fields have, ``schemas.numbers`` which numbers,
and both are read and joined for a message when the first one of its kind arrives.

Go always writes the fields that it does not hold by pointer, so a zero of theirs says nothing: it is left out, unless
the definition requires the field, as Go's JSON would. Fields without a known number are skipped. No served message but
a JSON schema contains its own kind, so that nesting is bounded by the definitions, and for schemas by Python's own
bound; the size is by the server's bound on bodies.
"""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple, TypeAlias

import orjson

from picluster.api import meta
from picluster.api.resources import BODIES, DELETE_OPTIONS, RESOURCES, Resource
from picluster.api.schemas import data, numbers
from picluster.api.types import Object

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
MAGIC = b"k8s\x00"

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
_WIRES = {"integer": VARINT, "boolean": VARINT, "number": FIXED64}
_MASK64 = (1 << 64) - 1
_EPOCH_MIN_S, _EPOCH_MAX_S = -62_135_596_800, 253_402_300_799  # years 1 to 9999, what RFC 3339 can say
_NEVER = object()
_KINDS = {(resource.api_version, resource.kind): resource for resource in (*RESOURCES, *BODIES)}

_Wire: TypeAlias = int | bytes | float
_Read: TypeAlias = Callable[[Any, Any], Any]
"""From the value on the wire and the field's value so far, if it came before: the field's new value, None for none."""


class _Field(NamedTuple):
    """How one number is read; a value that equals ``zero`` is left out."""

    name: str
    wires: tuple[int, ...]
    read: _Read
    zero: Any


_Table: TypeAlias = "dict[int, _Field | _Table]"
"""The fields of a message by number; a table in it is that of an embedded message, which reads into the same object."""


def decode(body: bytes, default: Resource) -> Object:
    """The object in ``body``, whatever its kind; ``default`` says version and kind if the envelope does not.

    Raises ``ValueError``, with a sentence for the client, for what is no protobuf, of no known kind, or malformed.
    """
    if body in (b"", MAGIC):
        raise ValueError("empty body" if body else "empty data")
    if not body.startswith(MAGIC):
        raise ValueError(f"provided data does not appear to be a protobuf message, expected prefix {_listed(MAGIC)}")
    unknown = _flat(body[len(MAGIC) :])
    types = _flat(_bytes(unknown, 1))
    encoding = _text(unknown, 3)
    if encoding:
        raise ValueError(f'unsupported content encoding "{encoding}"')
    api_version, kind = _text(types, 1) or default.api_version, _text(types, 2) or default.kind
    resource = DELETE_OPTIONS if kind == DELETE_OPTIONS.kind else _KINDS.get((api_version, kind))
    if resource is None:
        raise ValueError(f'no kind "{kind}" is registered for version "{api_version}"')
    try:
        return _merge(_table(resource.schema), _bytes(unknown, 2), {"apiVersion": api_version, "kind": kind})
    except RecursionError:
        raise ValueError("exceeded max depth") from None


def _merge(table: _Table, message: bytes, into: Object) -> Object:
    """Read ``message`` into an object that may hold an earlier part of it."""
    for number, wire, value in _scan(message):
        field = table.get(number)
        if field is None:
            continue
        if isinstance(field, dict):
            _merge(field, _must_be_bytes(value, number), into)
            continue
        if wire not in field.wires:
            raise ValueError(f"proto: wrong wireType = {wire} for field {field.name}")
        new = field.read(value, into.get(field.name))
        if new is None or new == field.zero:
            into.pop(field.name, None)
        else:
            into[field.name] = new
    return into


@cache
def _table(name: str) -> _Table:
    """The table of a definition, made at its first use."""
    definition, message = data.definitions()[name], numbers.messages()[name]
    kept = {*message["pointers"], *definition.get("required", ())}
    root: _Table = {}
    for field, path in message["numbers"].items():
        *embedded, number = path if isinstance(path, list) else [path]
        level = root
        for step in embedded:
            inner = level.setdefault(step, {})
            assert isinstance(inner, dict), f"{name}: {step} is a field and an embedded message"
            level = inner
        node = definition["properties"][field]
        level[number] = _Field(field, _wires(node), _reader(node), _NEVER if field in kept else _zero(node))
    return root


def _wires(node: Object) -> tuple[int, ...]:
    """The wire types that a field of that type may come in; a list of numbers also packed."""
    if data.target(node) is not None:
        return (LENGTH,)
    if node["type"] == "array":
        return tuple({LENGTH, *_wires(node["items"])})
    return (_WIRES.get(node["type"], LENGTH),)


def _reader(node: Object) -> _Read:
    name = data.target(node)
    if name is not None:
        special = _SPECIAL.get(name) or _alternative(name)
        if special is not None:
            return lambda value, old: special(value)
        return lambda value, old: _merge(_table(name), value, {} if old is None else old)
    if node["type"] == "array":
        return _list_reader(_reader(node["items"]), packed=_wires(node["items"]) == (VARINT,))
    if node["type"] == "object":
        return _map_reader(node["additionalProperties"])
    if node["type"] == "number":
        return lambda value, old: _double(value)
    if node["type"] == "boolean":
        return lambda value, old: value != 0
    if node["type"] == "integer":
        bits = 32 if node.get("format") == "int32" else 64
        return lambda value, old: _signed(value, bits)
    return _base64 if node.get("format") == "byte" else _string


def _list_reader(element: _Read, *, packed: bool) -> _Read:
    def read(value: _Wire, old: list[Any] | None) -> list[Any]:
        found = [] if old is None else old
        if packed and isinstance(value, bytes):
            position = 0
            while position < len(value):
                number, position = _varint(value, position)
                found.append(element(number, None))
        else:
            found.append(element(value, None))
        return found

    return read


def _map_reader(node: Object) -> _Read:
    """An entry of a map is a message of a key and a value; either may be missing, and is then its type's zero.

    A list cannot be a value, so it is wrapped (``ExtraValue``): a message whose field 1 is the list.
    """
    read_value, wires = _reader(node), _wires(node)
    if node.get("type") == "array":
        read_value, wires = _wrapped(_Field("items", wires, read_value, _NEVER)), (LENGTH,)

    def read(value: bytes, old: Object | None) -> Object:
        found, key, new = {} if old is None else old, "", None
        for number, wire, part in _scan(value):
            if number == 1:
                key = _string(_must_be_bytes(part, 1), None)
            elif number == 2:
                if wire not in wires:
                    raise ValueError(f"proto: wrong wireType = {wire} for the value of a map")
                new = read_value(part, None)
        found[key] = _zero(node) if new is None else new
        return found

    return read


def _wrapped(field: _Field) -> _Read:
    return lambda value, old: _merge({1: field}, value, {}).get(field.name, [])


def _zero(node: Object) -> Any:
    """The zero of the field's type in Go, as JSON has it."""
    name = data.target(node)
    if name == data.QUANTITY:
        return "0"
    if name == data.INT_OR_STRING:
        return 0
    if name == data.RAW_EXTENSION or name in data.UNTYPED:
        return None
    kind = "object" if name is not None else node["type"]
    return {"object": {}, "array": [], "string": "", "integer": 0, "number": 0, "boolean": False}[kind]


def _string(value: bytes, old: Any) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise ValueError("a string is not valid UTF-8") from None


def _base64(value: bytes, old: Any) -> str:
    return base64.b64encode(value).decode()


def _time(message: bytes) -> str | None:
    """``metav1.Time``, which has no fractions; an empty message is the zero time, null in JSON."""
    return meta.now_rfc3339(_seconds(_flat(message))) if message else None


def _micro_time(message: bytes) -> str | None:
    if not message:
        return None
    fields = _flat(message)
    nanos = _signed(_number(fields, 2), 32)
    if not 0 <= nanos < 1_000_000_000:
        raise ValueError("a time has nanoseconds out of range")
    return f"{meta.now_rfc3339(_seconds(fields))[:-1]}.{nanos // 1000:06d}Z"


def _seconds(fields: dict[int, _Wire]) -> int:
    seconds = _signed(_number(fields, 1), 64)
    if not _EPOCH_MIN_S <= seconds <= _EPOCH_MAX_S:
        raise ValueError("a time is outside of the years 1 to 9999")
    return seconds


def _quantity(message: bytes) -> str:
    return _text(_flat(message), 1) or "0"


def _int_or_string(message: bytes) -> int | str:
    fields = _flat(message)
    return _text(fields, 3) if _number(fields, 1) else _signed(_number(fields, 2), 32)


def _raw_json(message: bytes) -> Any:
    raw = _bytes(_flat(message), 1)
    return orjson.loads(raw) if raw else None


def _double(value: float) -> float:
    """A whole number without a fraction, as Go's JSON writes it."""
    if not math.isfinite(value):
        raise ValueError(f"json: unsupported value: {value}")
    return int(value) if value.is_integer() else value


def _alternative(name: str) -> Callable[[bytes], Any] | None:
    """The reader of what is a JSON schema or something else, each in a field of its own."""
    if name not in data.UNTYPED:
        return None
    schema_number, other_number = (2, 1) if name == data.JSON_SCHEMA_OR_BOOL else (1, 2)
    other = _OTHERS[name]

    def read(message: bytes) -> Any:
        schema = _Field("schema", (LENGTH,), _json_schema, _NEVER)
        found = _merge({schema_number: schema, other_number: other}, message, {})
        return found.get("schema", found.get("other", False if name == data.JSON_SCHEMA_OR_BOOL else None))

    return read


def _json_schema(value: bytes, old: Object | None) -> Object:
    return _merge(_table(data.JSON_SCHEMA), value, {} if old is None else old)


_OTHERS = {
    data.JSON_SCHEMA_OR_ARRAY: _Field("other", (LENGTH,), _list_reader(_json_schema, packed=False), _NEVER),
    data.JSON_SCHEMA_OR_BOOL: _Field("other", (VARINT,), lambda value, old: value != 0, _NEVER),
    data.JSON_SCHEMA_OR_STRINGS: _Field("other", (LENGTH,), _list_reader(_string, packed=False), _NEVER),
}
_SPECIAL: dict[str, Callable[[bytes], Any]] = {
    data.JSON: _raw_json,
    data.TIME: _time,
    data.MICRO_TIME: _micro_time,
    data.QUANTITY: _quantity,
    data.INT_OR_STRING: _int_or_string,
    data.FIELDS_V1: _raw_json,
    data.RAW_EXTENSION: _raw_json,
}
"""Types that are something else in JSON than in protobuf."""


def _scan(message: bytes) -> Iterator[tuple[int, int, _Wire]]:
    """The fields of a message in their order: number, wire type, value. Those of 32 bits, which nothing has, go.

    Most varints are one byte: those are read in place, as this is where a body's time goes.
    """
    position, end = 0, len(message)
    while position < end:
        key = message[position]
        position += 1
        if key > 0x7F:
            key, position = _varint(message, position - 1)
        wire = key & 7
        if key < 8:
            raise ValueError(f"proto: illegal tag 0 (wire type {wire})")
        if wire not in (VARINT, LENGTH):
            position += _fixed_size(wire)
            if position > end:
                raise ValueError("unexpected EOF")
            if wire == FIXED64:
                yield key >> 3, FIXED64, struct.unpack_from("<d", message, position - 8)[0]
            continue
        if position >= end:
            raise ValueError("unexpected EOF")
        value = message[position]
        position += 1
        if value > 0x7F:
            value, position = _varint(message, position - 1)
        if wire == VARINT:
            yield key >> 3, VARINT, value
            continue
        start, position = position, position + value
        if position > end:
            raise ValueError("unexpected EOF")
        yield key >> 3, LENGTH, message[start:position]


def _fixed_size(wire: int) -> int:
    if wire not in (FIXED32, FIXED64):
        raise ValueError(f"proto: illegal wireType {wire}")
    return 4 if wire == FIXED32 else 8


def _varint(message: bytes, position: int) -> tuple[int, int]:
    """The number at ``position``, 64 bits at most, and the position after it."""
    value = shift = 0
    while shift < 64:
        if position >= len(message):
            raise ValueError("unexpected EOF")
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & _MASK64, position
        shift += 7
    raise ValueError("proto: integer overflow")


def _signed(value: int, bits: int) -> int:
    """Two's complement of the lowest ``bits``; negative numbers come as 64 bits whatever their type."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def _flat(message: bytes) -> dict[int, _Wire]:
    """The fields of a message that has neither lists nor messages to merge: the last one of a number counts."""
    return {number: value for number, _, value in _scan(message)}


def _number(fields: dict[int, _Wire], number: int) -> int:
    value = fields.get(number, 0)
    if not isinstance(value, int):
        raise ValueError(f"proto: wrong wireType = {_wire_type(value)} for field {number}")
    return value


def _bytes(fields: dict[int, _Wire], number: int) -> bytes:
    return _must_be_bytes(fields.get(number, b""), number)


def _text(fields: dict[int, _Wire], number: int) -> str:
    return _string(_bytes(fields, number), None)


def _must_be_bytes(value: _Wire, number: int) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError(f"proto: wrong wireType = {_wire_type(value)} for field {number}")
    return value


def _wire_type(value: _Wire) -> int:
    if isinstance(value, bytes):
        return LENGTH
    return FIXED64 if isinstance(value, float) else VARINT


def _listed(magic: bytes) -> str:
    return "[" + " ".join(str(byte) for byte in magic) + "]"
