"""What Kubernetes asks of lists. Source: ``cel/library/lists.go``."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from picluster.api.cel.errors import CelError
from picluster.api.cel.functions.operators import checked_int, checked_uint
from picluster.api.cel.functions.signatures import Overload, elements_cost, overload
from picluster.api.cel.times import Duration, checked_duration
from picluster.api.cel.values import Uint, equal

_ORDERED = ("int", "uint", "double", "bool", "duration", "timestamp", "string", "bytes")


def _is_sorted(items: Any) -> bool:
    return all(one <= two for one, two in pairwise(items))


def _chosen(name: str, choose: Callable[[list[Any]], Any]) -> Callable[[Any], Any]:
    def chosen(items: Any) -> Any:
        found = list(items)
        if not found:
            raise CelError(f"{name} called on empty list")
        return choose(found)

    return chosen


def _sum(zero: Any, check: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def total(items: Any) -> Any:
        found = zero
        for item in items:
            found = check(found + item)
        return found

    return total


def _sum_durations(items: Any) -> Duration:
    return checked_duration(sum(item.nanos for item in items))


def _index_of(items: Any, wanted: Any) -> int:
    return next((at for at, item in enumerate(items) if equal(item, wanted)), -1)


def _last_index_of(items: Any, wanted: Any) -> int:
    return next((at for at in range(len(items) - 1, -1, -1) if equal(items[at], wanted)), -1)


_min, _max = _chosen("min", min), _chosen("max", max)

FUNCTIONS: tuple[Overload, ...] = (
    *(overload("isSorted", f"list({each}).() -> bool", _is_sorted, elements_cost) for each in _ORDERED),
    *(overload("min", f"list({each}).() -> {each}", _min, elements_cost) for each in _ORDERED),
    *(overload("max", f"list({each}).() -> {each}", _max, elements_cost) for each in _ORDERED),
    overload("sum", "list(int).() -> int", _sum(0, checked_int), elements_cost),
    overload("sum", "list(uint).() -> uint", _sum(Uint(0), checked_uint), elements_cost),
    overload("sum", "list(double).() -> double", _sum(0.0, float), elements_cost),
    overload("sum", "list(duration).() -> duration", _sum_durations, elements_cost),
    overload("indexOf", "list(A).(A) -> int", _index_of, elements_cost),
    overload("lastIndexOf", "list(A).(A) -> int", _last_index_of, elements_cost),
)
