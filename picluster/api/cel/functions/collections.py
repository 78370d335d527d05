"""Sizes, and what strings are asked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from picluster.api.cel.functions.regex import matches
from picluster.api.cel.functions.signatures import STRING_FACTOR, Overload, overload, regex_cost, traversal
from picluster.api.cel.values import ObjectView, size_of


def _size(value: Any) -> int:
    return len(list(value.items())) if isinstance(value, ObjectView) else len(value)


def _contains_cost(args: Sequence[Any], result: Any) -> int:
    return math.ceil(size_of(args[0]) * STRING_FACTOR) * math.ceil(size_of(args[1]) * STRING_FACTOR)


_SIZED = ("string", "bytes", "list(A)", "map(A, B)")

FUNCTIONS: tuple[Overload, ...] = (
    *(overload("size", f"({each}) -> int", _size) for each in _SIZED),
    *(overload("size", f"{each}.() -> int", _size) for each in _SIZED),
    overload("contains", "string.(string) -> bool", lambda text, part: part in text, _contains_cost),
    overload("startsWith", "string.(string) -> bool", str.startswith, traversal()),
    overload("endsWith", "string.(string) -> bool", str.endswith, traversal()),
    overload("matches", "string.(string) -> bool", matches, regex_cost),
    overload("matches", "(string, string) -> bool", matches, regex_cost),
)
