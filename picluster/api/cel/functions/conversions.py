"""Conversions between types, as their names say."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from picluster.api.cel.errors import CelError
from picluster.api.cel.functions.operators import checked_int, checked_uint
from picluster.api.cel.functions.signatures import Overload, overload, traversal
from picluster.api.cel.times import SECOND, checked_timestamp, parse_duration, parse_timestamp
from picluster.api.cel.values import INT_MAX, INT_MIN, UINT_MAX, Uint, type_of

_INTEGER = re.compile(r"[+-]?[0-9]+")
_FLOAT = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[+-]?(?:inf|infinity)|nan", re.IGNORECASE)
_BOOLEANS = {
    **dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True),
    **dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False),
}


def conversion_error(value: Any, to: str) -> CelError:
    return CelError(f"type conversion error from '{type_of(value)}' to '{to}'")


def _int_of_text(text: str) -> int:
    number = int(text) if _INTEGER.fullmatch(text) else None
    if number is None or not INT_MIN <= number <= INT_MAX:
        raise conversion_error(text, "int")
    return number


def _int_of_double(number: float) -> int:
    if math.isnan(number) or math.isinf(number) or not float(INT_MIN) < number < float(INT_MAX):
        raise CelError("integer overflow")
    return int(number)


def _uint_of_text(text: str) -> Uint:
    if not text.isascii() or not text.isdecimal() or int(text) > UINT_MAX:
        raise conversion_error(text, "uint")
    return Uint(text)


def _uint_of_double(number: float) -> Uint:
    if math.isnan(number) or math.isinf(number) or not 0 <= number < float(UINT_MAX):
        raise CelError("unsigned integer overflow")
    return Uint(int(number))


def _double_of_text(text: str) -> float:
    if not _FLOAT.fullmatch(text):
        raise conversion_error(text, "double")
    return float(text)


def _bool_of_text(text: str) -> bool:
    if text not in _BOOLEANS:
        raise conversion_error(text, "bool")
    return _BOOLEANS[text]


def shown_double(number: float) -> str:
    """As Go's ``%g``: the fewest digits that tell it from others, with an exponent below -4 and from 6 on."""
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "+Inf" if number > 0 else "-Inf"
    negative, digits, exponent = Decimal(repr(float(number))).normalize().as_tuple()
    assert isinstance(exponent, int)
    figures, power = "".join(map(str, digits)), len(digits) + exponent - 1
    if number == 0:
        shown = "0"
    elif power < -4 or power >= 6:
        shown = (
            figures[0] + (f".{figures[1:]}" if figures[1:] else "") + f"e{'-' if power < 0 else '+'}{abs(power):02d}"
        )
    elif power < 0:
        shown = "0." + "0" * (-power - 1) + figures
    else:
        whole = figures[: power + 1].ljust(power + 1, "0")
        shown = whole + (f".{figures[power + 1 :]}" if figures[power + 1 :] else "")
    return f"-{shown}" if negative else shown


def _text_of_bytes(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise CelError("invalid UTF-8 in bytes, cannot convert to string") from None


def _parsed(parse: Callable[[str], Any], to: str) -> Callable[[str], Any]:
    def convert(text: str) -> Any:
        try:
            return parse(text)
        except ValueError:
            raise conversion_error(text, to) from None

    return convert


def _same(value: Any) -> Any:
    return value


FUNCTIONS: tuple[Overload, ...] = (
    overload("int", "(int) -> int", _same),
    overload("int", "(uint) -> int", checked_int),
    overload("int", "(double) -> int", _int_of_double),
    overload("int", "(string) -> int", _int_of_text),
    overload("int", "(timestamp) -> int", lambda at: at.nanos // SECOND),
    overload("int", "(duration) -> int", lambda length: length.nanos),
    overload("uint", "(uint) -> uint", _same),
    overload("uint", "(int) -> uint", checked_uint),
    overload("uint", "(double) -> uint", _uint_of_double),
    overload("uint", "(string) -> uint", _uint_of_text),
    overload("double", "(double) -> double", _same),
    overload("double", "(int) -> double", float),
    overload("double", "(uint) -> double", float),
    overload("double", "(string) -> double", _double_of_text),
    overload("bool", "(bool) -> bool", _same),
    overload("bool", "(string) -> bool", _bool_of_text),
    overload("string", "(string) -> string", _same),
    overload("string", "(bool) -> string", lambda value: "true" if value else "false"),
    overload("string", "(int) -> string", str),
    overload("string", "(uint) -> string", lambda value: str(int(value))),
    overload("string", "(double) -> string", shown_double),
    overload("string", "(bytes) -> string", _text_of_bytes, traversal()),
    overload("string", "(timestamp) -> string", str),
    overload("string", "(duration) -> string", str),
    overload("bytes", "(bytes) -> bytes", _same),
    overload("bytes", "(string) -> bytes", str.encode, traversal()),
    overload("timestamp", "(timestamp) -> timestamp", _same),
    overload("timestamp", "(int) -> timestamp", lambda seconds: checked_timestamp(seconds * SECOND)),
    overload("timestamp", "(string) -> timestamp", _parsed(parse_timestamp, "google.protobuf.Timestamp")),
    overload("duration", "(duration) -> duration", _same),
    overload("duration", "(string) -> duration", _parsed(parse_duration, "google.protobuf.Duration")),
    overload("dyn", "(A) -> dyn", _same),
    overload("type", "(A) -> type(A)", type_of),
)
