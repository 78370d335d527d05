"""Protocol buffers by tables: a message is a dict, its fields are numbered in a table. Pure.

Only what drivers' protocols use: text, booleans, integers and enumerations, messages, lists of them, and maps from text
to text. Unknown fields are skipped; fields with their default are absent on the wire, and after ``decode`` too, as the
encoding guide says (https://protobuf.dev/programming-guides/encoding/).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
VARINT_BYTES_MAX = 10


class DecodeError(ValueError):
    """What came is not a message."""


@dataclass(frozen=True, slots=True)
class Field:
    """``kind`` is ``text``, ``int``, ``bool``, ``map``, or the table of a message."""

    name: str
    kind: str | Table
    repeated: bool = False


Table = Mapping[int, Field]
"""A message: its fields by their numbers."""
_PAIR: Table = {1: Field("key", "text"), 2: Field("value", "text")}


def encode(table: Table, message: Mapping[str, Any]) -> bytes:
    """The message's bytes; names that the table does not have are an error of ours."""
    unknown = set(message) - {field.name for field in table.values()}
    assert not unknown, f"no such fields: {sorted(unknown)}"
    out = bytearray()
    for number, field in table.items():
        value = message.get(field.name)
        if field.kind == "map":
            for key, text in sorted((value or {}).items()):
                _write(out, number, _PAIR, {"key": key, "value": text})
        elif field.repeated:
            for one in value or ():
                _write(out, number, field.kind, one)
        elif value is not None and (not isinstance(field.kind, str) or value):
            _write(out, number, field.kind, value)
    return bytes(out)


def _write(out: bytearray, number: int, kind: str | Table, value: Any) -> None:
    if kind in ("int", "bool"):
        out += _varint(number << 3 | VARINT) + _varint(int(value) & (1 << 64) - 1)
        return
    data = value.encode() if kind == "text" else encode(kind, value)  # type: ignore[arg-type]
    out += _varint(number << 3 | BYTES) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def decode(table: Table, data: bytes) -> dict[str, Any]:
    """The fields that are there; raises ``DecodeError``."""
    message: dict[str, Any] = {}
    for number, wire, value in _fields(data):
        field = table.get(number)
        if field is None or wire != (VARINT if field.kind in ("int", "bool") else BYTES):
            continue
        read = _read(field.kind, value)
        if field.kind == "map":
            message.setdefault(field.name, {})[read.get("key", "")] = read.get("value", "")
        elif field.repeated:
            message.setdefault(field.name, []).append(read)
        else:
            message[field.name] = read
    return message


def _read(kind: str | Table, value: Any) -> Any:
    if kind == "bool":
        return bool(value)
    if kind == "int":
        return value - (1 << 64) if value >> 63 else value
    try:
        return value.decode() if kind == "text" else decode(_PAIR if kind == "map" else kind, value)  # type: ignore[arg-type]
    except UnicodeDecodeError as error:
        raise DecodeError("a text is not UTF-8") from error


def _fields(data: bytes) -> Iterator[tuple[int, int, Any]]:
    at = 0
    while at < len(data):
        tag, at = _number(data, at)
        wire = tag & 7
        value: Any
        if wire == VARINT:
            value, at = _number(data, at)
        elif wire in (BYTES, FIXED64, FIXED32):
            length = 8 if wire == FIXED64 else 4
            if wire == BYTES:
                length, at = _number(data, at)
            if at + length > len(data):
                raise DecodeError("the message is cut off")
            value, at = data[at : at + length], at + length
        else:
            raise DecodeError(f"wire type {wire} is not known")
        yield tag >> 3, wire, value


def _number(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for index in range(VARINT_BYTES_MAX):
        if at + index >= len(data):
            raise DecodeError("the message is cut off")
        byte = data[at + index]
        value |= (byte & 0x7F) << 7 * index
        if not byte & 0x80:
            return value & (1 << 64) - 1, at + index + 1
    raise DecodeError("a number is too long")
