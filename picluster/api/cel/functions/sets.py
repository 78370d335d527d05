"""Lists taken as sets. Source: cel-go's ``ext.Sets``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from picluster.api.cel.functions.signatures import Overload, overload
from picluster.api.cel.values import equal, size_of


def _in(value: Any, items: Any) -> bool:
    return any(equal(value, item) for item in items)


def _contains(items: Any, part: Any) -> bool:
    return all(_in(item, items) for item in part)


def _equivalent(left: Any, right: Any) -> bool:
    return _contains(left, right) and _contains(right, left)


def _intersects(left: Any, right: Any) -> bool:
    return any(_in(item, right) for item in left)


def _product(args: Sequence[Any], result: Any) -> int:
    return 1 + size_of(args[0]) * size_of(args[1])


FUNCTIONS: tuple[Overload, ...] = (
    overload("sets.contains", "(list(A), list(A)) -> bool", _contains, _product),
    overload("sets.equivalent", "(list(A), list(A)) -> bool", _equivalent, _product),
    overload("sets.intersects", "(list(A), list(A)) -> bool", _intersects, _product),
)
