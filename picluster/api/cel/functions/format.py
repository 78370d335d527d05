"""``string.format``: cel-go's formatting verbs."""

from __future__ import annotations

import math
import re
from typing import Any

from picluster.api.cel.errors import CelError
from picluster.api.cel.times import Duration, Timestamp
from picluster.api.cel.types import Type
from picluster.api.cel.values import LISTS, MAPS, ObjectView, from_key, type_of

_VERB = re.compile(r"%(?:(%)|(?:\.([0-9]+))?(.)?)", re.DOTALL)
PRECISION_DEFAULT = 6
PRECISION_MAX = 1000


def format_string(template: str, arguments: Any) -> str:
    """``template`` with its verbs replaced; raises ``CelError``."""
    found, given = list(arguments), iter(list(arguments))
    used = 0

    def replaced(match: re.Match[str]) -> str:
        nonlocal used
        if match[1]:
            return "%"
        verb = match[3]
        if verb is None:
            raise CelError("unexpected end of string")
        if used >= len(found):
            raise CelError(f"index {used} out of range")
        used += 1
        precision = PRECISION_DEFAULT if match[2] is None else int(match[2])
        if precision > PRECISION_MAX:
            raise CelError(f"precision {precision} is too large")
        return _verb(verb, next(given), precision)

    return _VERB.sub(replaced, template)


def _verb(verb: str, value: Any, precision: int) -> str:
    if verb == "s":
        return shown(value)
    if verb == "d":
        return _decimal(value)
    if verb in "fe":
        return _fixed(verb, value, precision)
    if verb in "bxXo":
        return _based(verb, value)
    raise CelError(f'could not parse formatting clause: unrecognized formatting clause "{verb}"')


def shown(value: Any) -> str:
    """What ``%s`` makes of any value."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, LISTS):
        return f"[{', '.join(map(shown, value))}]"
    if isinstance(value, (*MAPS, ObjectView)):
        entries = sorted((shown(from_key(key)), shown(item)) for key, item in value.items())
        return f"{{{', '.join(f'{key}: {item}' for key, item in entries)}}}"
    if isinstance(value, str | int | Duration | Timestamp | Type):
        return str(value)
    raise CelError(
        "error during formatting: string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists,"
        f" types, durations, and timestamps, was given {type_of(value)}"
    )


def _number(value: float) -> str:
    if math.isnan(value) or math.isinf(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def _decimal(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float) and (math.isnan(value) or math.isinf(value)):
        return _number(value)
    raise CelError(f"error during formatting: decimal clause can only be used on integers, was given {type_of(value)}")


def _fixed(verb: str, value: Any, precision: int) -> str:
    name = "fixed-point" if verb == "f" else "scientific"
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise CelError(
            f"error during formatting: {name} clause can only be used on doubles, was given {type_of(value)}"
        )
    number = float(value)
    if math.isnan(number) or math.isinf(number):
        return _number(number)
    return f"{number:.{precision}{verb}}"


def _based(verb: str, value: Any) -> str:
    if isinstance(value, bool) and verb == "b":
        return str(int(value))
    if isinstance(value, int) and not isinstance(value, bool):
        return format(int(value), verb)
    if isinstance(value, str | bytes) and verb in "xX":
        data = (value.encode() if isinstance(value, str) else value).hex()
        return data.upper() if verb == "X" else data
    names = {
        "b": "binary clause can only be used on integers and bools",
        "o": "octal clause can only be used on integers",
    }
    why = names.get(verb, "hex clause can only be used on integers, byte buffers, and strings")
    raise CelError(f"error during formatting: {why}, was given {type_of(value)}")
