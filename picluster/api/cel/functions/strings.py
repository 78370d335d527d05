"""Strings, at version 2 of cel-go's ``ext.Strings``. Positions count code points."""

from __future__ import annotations

from typing import Any

from picluster.api.cel.errors import CelError
from picluster.api.cel.functions.format import format_string
from picluster.api.cel.functions.signatures import Overload, elements_cost, overload, traversal, traversal_of_result
from picluster.api.cel.values import NO_OVERLOAD, TEXT_MAX

_UPPER = str.maketrans("abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")
_SPACE = (
    "\t\n\v\f\r \u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f"
    "\u205f\u3000"
)
_QUOTED = str.maketrans(
    {
        "\a": "\\a",
        "\b": "\\b",
        "\f": "\\f",
        "\n": "\\n",
        "\r": "\\r",
        "\t": "\\t",
        "\v": "\\v",
        "\\": "\\\\",
        '"': '\\"',
    }
)


def _at(text: str, position: int) -> int:
    if not 0 <= position <= len(text):
        raise CelError(f"index out of range: {position}")
    return position


def _char_at(text: str, position: int) -> str:
    at = _at(text, position)
    return text[at : at + 1]


def _index_of(text: str, part: str, start: int = 0) -> int:
    return _at(text, start) if not part else text.find(part, _at(text, start))


def _last_index_of(text: str, part: str) -> int:
    return len(text) if not part else text.rfind(part)


def _last_index_before(text: str, part: str, last: int) -> int:
    at = _at(text, last)
    return at if not part else text.rfind(part, 0, at + len(part))


def _substring(text: str, start: int, end: int) -> str:
    if not 0 <= start <= len(text):
        raise CelError(f"index out of range: {start}")
    if not 0 <= end <= len(text):
        raise CelError(f"index out of range: {end}")
    if start > end:
        raise CelError(f"invalid substring range. start: {start}, end: {end}")
    return text[start:end]


def _replace(text: str, old: str, new: str, count: int = -1) -> str:
    found = text.count(old) if count < 0 else min(count, text.count(old))
    bounded(len(text) + found * len(new))
    return text.replace(old, new, found)


def _split(text: str, separator: str, limit: int = -1) -> list[str]:
    if limit == 0:
        return []
    if separator:
        return text.split(separator, limit - 1 if limit > 0 else -1)
    if limit < 0 or limit >= len(text):
        return list(text)
    return [*text[: limit - 1], text[limit - 1 :]]


def _join(items: Any, separator: str = "") -> str:
    parts = list(items)
    if not all(isinstance(part, str) for part in parts):
        raise CelError(NO_OVERLOAD)
    bounded(sum(map(len, parts)) + len(parts) * len(separator))
    return separator.join(parts)


def bounded(length: int) -> None:
    if length > TEXT_MAX:
        raise CelError(f"string is longer than {TEXT_MAX}")


def quote(text: str) -> str:
    return f'"{text.translate(_QUOTED)}"'


_twice = traversal(0, 0.2)

FUNCTIONS: tuple[Overload, ...] = (
    overload("charAt", "string.(int) -> string", _char_at),
    overload("indexOf", "string.(string) -> int", _index_of, elements_cost),
    overload("indexOf", "string.(string, int) -> int", _index_of, elements_cost),
    overload("lastIndexOf", "string.(string) -> int", _last_index_of, elements_cost),
    overload("lastIndexOf", "string.(string, int) -> int", _last_index_before, elements_cost),
    overload("lowerAscii", "string.() -> string", lambda text: text.translate(_LOWER), traversal()),
    overload("upperAscii", "string.() -> string", lambda text: text.translate(_UPPER), traversal()),
    overload("replace", "string.(string, string) -> string", _replace, _twice),
    overload("replace", "string.(string, string, int) -> string", _replace, _twice),
    overload("split", "string.(string) -> list(string)", _split, _twice),
    overload("split", "string.(string, int) -> list(string)", _split, _twice),
    overload("substring", "string.(int) -> string", lambda text, at: _substring(text, at, len(text)), traversal()),
    overload("substring", "string.(int, int) -> string", _substring, traversal()),
    overload("trim", "string.() -> string", lambda text: text.strip(_SPACE), traversal()),
    overload("format", "string.(list(dyn)) -> string", format_string, traversal_of_result(0.2)),
    overload("strings.quote", "(string) -> string", quote, traversal()),
    overload("join", "list(string).() -> string", _join, traversal_of_result(0.2)),
    overload("join", "list(string).(string) -> string", _join, traversal_of_result(0.2)),
)
