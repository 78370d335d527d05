"""Lists, at version 3 of cel-go's ``ext.Lists``; ``sortBy`` is a comprehension."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from picluster.api.cel.errors import CelError
from picluster.api.cel.functions.signatures import Overload, overload
from picluster.api.cel.values import ELEMENTS_MAX, LISTS, equal, hashable, size_of, unwrap

_ORDERED = ("int", "uint", "double", "bool", "duration", "timestamp", "string", "bytes")


def _slice(items: Any, start: int, end: int) -> list[Any]:
    what = f"cannot slice({start}, {end})"
    if start < 0 or end < 0:
        raise CelError(f"{what}, negative indexes not supported")
    if start > end:
        raise CelError(f"{what}, start index must be less than or equal to end index")
    if end > len(items):
        raise CelError(f"{what}, list is length {len(items)}")
    return list(items)[start:end]


def _flatten(items: Any, depth: int = 1) -> list[Any]:
    if depth < 0:
        raise CelError("level must be non-negative")
    flat = list(items)
    for _ in range(depth):
        if not any(isinstance(item, LISTS) for item in flat):
            break
        flat = [inner for item in flat for inner in (item if isinstance(item, LISTS) else (item,))]
        if len(flat) > ELEMENTS_MAX:
            raise CelError(f"list has more than {ELEMENTS_MAX} elements")
    return flat


def _range(count: int) -> list[int]:
    if count > ELEMENTS_MAX:
        raise CelError(f"list has more than {ELEMENTS_MAX} elements")
    return list(range(count))


def _distinct(items: Any) -> list[Any]:
    seen: dict[Any, list[Any]] = {}
    found: list[Any] = []
    for item in items:
        alike = seen.setdefault(_bucket(item), [])
        if not any(equal(item, other) for other in alike):
            alike.append(item)
            found.append(item)
    return found


def _bucket(item: Any) -> Any:
    """The same for all that is equal; what cannot be hashed has one bucket for its type."""
    try:
        key = hashable(unwrap(item))
        hash(key)
    except TypeError:
        return type(item)
    return key


def sort_list(items: Sequence[Any], keys: Sequence[Any]) -> list[Any]:
    """``items`` in the order of their ``keys``, which must be of one type that has an order."""
    if len({type(key) for key in keys}) > 1:
        raise CelError("list elements must have the same type")
    try:
        order = sorted(range(len(items)), key=keys.__getitem__)
    except TypeError:
        raise CelError("list elements must be comparable") from None
    return [items[index] for index in order]


def _sort(items: Any) -> list[Any]:
    found = list(items)
    return sort_list(found, found)


def _each(args: Sequence[Any], result: Any) -> int:
    return max(size_of(args[0]), size_of(result))


FUNCTIONS: tuple[Overload, ...] = (
    overload("slice", "list(A).(int, int) -> list(A)", _slice, _each),
    overload("flatten", "list(list(A)).() -> list(A)", _flatten, _each),
    overload("flatten", "list(dyn).(int) -> list(dyn)", _flatten, _each),
    overload("lists.range", "(int) -> list(int)", _range, _each),
    overload("distinct", "list(A).() -> list(A)", _distinct, _each),
    overload("reverse", "list(A).() -> list(A)", lambda items: list(items)[::-1], _each),
    *(overload("sort", f"list({each}).() -> list({each})", _sort, _each) for each in _ORDERED),
)
