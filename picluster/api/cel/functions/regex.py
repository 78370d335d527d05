"""Regular expressions, by RE2: linear in time, whatever the expression. Source: ``cel/library/regex.go``."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from picluster.api.cel.errors import CelError
from picluster.api.cel.functions.signatures import Overload, overload, regex_cost

PATTERNS_MAX = 256


@lru_cache(maxsize=PATTERNS_MAX)
def compiled(pattern: str) -> Any:
    """The compiled ``pattern``; raises ``ValueError`` with Go's wording."""
    import re2

    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options=options)
    except re2.error as error:
        detail = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else str(error)
        raise ValueError(f"error parsing regexp: {detail}") from error


def _pattern(pattern: str) -> Any:
    try:
        return compiled(pattern)
    except ValueError as error:
        raise CelError(f"Illegal regex: {error}") from error


def matches(text: str, pattern: str) -> bool:
    """Whether any part of ``text`` matches."""
    try:
        return compiled(pattern).search(text) is not None
    except ValueError as error:
        raise CelError(str(error)) from error


def find(text: str, pattern: str) -> str:
    found = _pattern(pattern).search(text)
    return "" if found is None else str(found.group(0))


def find_all(text: str, pattern: str, limit: int = -1) -> list[str]:
    found: list[str] = []
    for match in _pattern(pattern).finditer(text):
        if 0 <= limit <= len(found):
            break
        found.append(match.group(0))
    return found


FUNCTIONS: tuple[Overload, ...] = (
    overload("find", "string.(string) -> string", find, regex_cost),
    overload("findAll", "string.(string) -> list(string)", find_all, regex_cost),
    overload("findAll", "string.(string, int) -> list(string)", find_all, regex_cost),
)
