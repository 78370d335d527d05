"""How Go sees and prints JSON values, where messages show it."""

from __future__ import annotations

import json
from typing import Any

import orjson

INT64 = (-(2**63), 2**63 - 1)
FLOAT_INTEGER_MAX = 2**53
"""Beyond it a float is no JSON integer (``swag.IsFloat64AJSONInteger``)."""


def kind_of(value: Any) -> str:
    """The JSON schema type of a value; ``null`` for none."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer" if INT64[0] <= value <= INT64[1] else "number"
    if isinstance(value, float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def is_whole(value: Any) -> bool:
    """A float that may stand for an integer."""
    return isinstance(value, float) and value.is_integer() and abs(value) <= FLOAT_INTEGER_MAX


def shown(number: float) -> str:
    """``%v`` of a float64."""
    if isinstance(number, int) or (number.is_integer() and abs(number) < 1e21):
        return str(int(number))
    return repr(number)


def as_choice(value: Any) -> str:
    """How a permitted value is listed: a string as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def same(left: Any, right: Any) -> bool:
    """Equal as JSON: Python takes ``1`` for ``True``."""
    if left != right:
        return False
    return orjson.dumps(left, option=orjson.OPT_SORT_KEYS) == orjson.dumps(right, option=orjson.OPT_SORT_KEYS)
