"""Operators: arithmetic with its overflows, comparison, membership. ``&&``, ``||`` and ``?:`` are the compiler's."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

from picluster.api.cel.errors import CelError
from picluster.api.cel.functions.signatures import STRING_FACTOR, Overload, overload
from picluster.api.cel.times import Duration, Timestamp, checked_duration, checked_timestamp
from picluster.api.cel.values import (
    INT_MAX,
    INT_MIN,
    MAPS,
    UINT_MAX,
    ListView,
    ObjectView,
    Optional,
    Uint,
    add_lists,
    equal,
    has_key,
    index,
    size_of,
    to_key,
)


def checked_int(number: int) -> int:
    if not INT_MIN <= number <= INT_MAX:
        raise CelError("integer overflow")
    return int(number)


def checked_uint(number: int) -> Uint:
    if not 0 <= number <= UINT_MAX:
        raise CelError("unsigned integer overflow")
    return Uint(number)


def quotient(left: int, right: int) -> int:
    """Towards zero, as Go divides."""
    if right == 0:
        raise CelError("division by zero")
    whole = abs(left) // abs(right)
    return whole if (left < 0) == (right < 0) else -whole


def remainder(left: int, right: int) -> int:
    if right == 0:
        raise CelError("modulus by zero")
    return int(math.copysign(1, left)) * (abs(left) % abs(right))


def _divide(left: float, right: float) -> float:
    if right == 0:
        return math.nan if left == 0 or math.isnan(left) else math.copysign(math.inf, left) * math.copysign(1, right)
    return left / right


def contains(value: Any, container: Any) -> bool:
    if isinstance(container, ListView):
        return any(equal(value, item) for item in container)
    if isinstance(container, (*MAPS, ObjectView)):
        if isinstance(container, ObjectView):
            return isinstance(value, str) and container.has(value)
        return isinstance(value, str | int | float) and to_key(value) in container
    return any(equal(value, item) for item in container)


def _optional_index(container: Any, key: Any) -> Optional:
    if isinstance(container, Optional):
        if not container.present:
            return container
        container = container.value
    return Optional(index(container, key)) if has_key(container, key) else Optional(None, present=False)


def _later(at: Timestamp, by: Duration) -> Timestamp:
    return checked_timestamp(at.nanos + by.nanos, at.offset_s)


def _earlier(at: Timestamp, by: Duration) -> Timestamp:
    return checked_timestamp(at.nanos - by.nanos, at.offset_s)


def _smaller(args: Sequence[Any], result: Any) -> int:
    return math.ceil(min(size_of(args[0]), size_of(args[1])) * STRING_FACTOR)


def _both(args: Sequence[Any], result: Any) -> int:
    return math.ceil((size_of(args[0]) + size_of(args[1])) * STRING_FACTOR)


def _list_size(args: Sequence[Any], result: Any) -> int:
    return size_of(args[1])


def _comparisons(sign: str, compare: Callable[[Any, Any], bool]) -> list[Overload]:
    name = f"_{sign}_"
    scalars = ("bool", "int", "uint", "double", "string", "bytes", "timestamp", "duration")
    crossed = ("int, uint", "int, double", "uint, int", "uint, double", "double, int", "double, uint")
    texts = ("string", "bytes")
    same = [
        overload(name, f"({each}, {each}) -> bool", compare, _smaller if each in texts else None) for each in scalars
    ]
    return same + [overload(name, f"({each}) -> bool", compare) for each in crossed]


FUNCTIONS: tuple[Overload, ...] = (
    overload("_==_", "(A, A) -> bool", equal, _smaller),
    overload("_!=_", "(A, A) -> bool", lambda left, right: not equal(left, right), _smaller),
    *_comparisons("<", operator.lt),
    *_comparisons("<=", operator.le),
    *_comparisons(">", operator.gt),
    *_comparisons(">=", operator.ge),
    overload("_+_", "(int, int) -> int", lambda left, right: checked_int(left + right)),
    overload("_+_", "(uint, uint) -> uint", lambda left, right: checked_uint(left + right)),
    overload("_+_", "(double, double) -> double", operator.add),
    overload("_+_", "(string, string) -> string", operator.add, _both),
    overload("_+_", "(bytes, bytes) -> bytes", operator.add, _both),
    overload("_+_", "(list(A), list(A)) -> list(A)", add_lists),
    overload("_+_", "(timestamp, duration) -> timestamp", _later),
    overload("_+_", "(duration, timestamp) -> timestamp", lambda by, at: _later(at, by)),
    overload("_+_", "(duration, duration) -> duration", lambda left, right: checked_duration(left.nanos + right.nanos)),
    overload("_-_", "(int, int) -> int", lambda left, right: checked_int(left - right)),
    overload("_-_", "(uint, uint) -> uint", lambda left, right: checked_uint(int(left) - int(right))),
    overload("_-_", "(double, double) -> double", operator.sub),
    overload("_-_", "(timestamp, timestamp) -> duration", lambda one, two: checked_duration(one.nanos - two.nanos)),
    overload("_-_", "(timestamp, duration) -> timestamp", _earlier),
    overload("_-_", "(duration, duration) -> duration", lambda left, right: checked_duration(left.nanos - right.nanos)),
    overload("_*_", "(int, int) -> int", lambda left, right: checked_int(left * right)),
    overload("_*_", "(uint, uint) -> uint", lambda left, right: checked_uint(left * right)),
    overload("_*_", "(double, double) -> double", operator.mul),
    overload("_/_", "(int, int) -> int", lambda left, right: checked_int(quotient(left, right))),
    overload("_/_", "(uint, uint) -> uint", lambda left, right: Uint(quotient(left, right))),
    overload("_/_", "(double, double) -> double", _divide),
    overload("_%_", "(int, int) -> int", remainder),
    overload("_%_", "(uint, uint) -> uint", lambda left, right: Uint(remainder(left, right))),
    overload("-_", "(int) -> int", lambda value: checked_int(-value)),
    overload("-_", "(double) -> double", operator.neg),
    overload("!_", "(bool) -> bool", operator.not_),
    overload("@in", "(A, list(A)) -> bool", contains, _list_size),
    overload("@in", "(A, map(A, B)) -> bool", contains),
    overload("_[_]", "(list(A), int) -> A", index),
    overload("_[_]", "(map(A, B), A) -> B", index),
    overload("_[_]", "(optional(list(A)), int) -> optional(A)", _optional_index),
    overload("_[_]", "(optional(map(A, B)), A) -> optional(B)", _optional_index),
    overload("_[?_]", "(list(A), int) -> optional(A)", _optional_index),
    overload("_[?_]", "(map(A, B), A) -> optional(B)", _optional_index),
    overload("_[?_]", "(optional(list(A)), int) -> optional(A)", _optional_index),
    overload("_[?_]", "(optional(map(A, B)), A) -> optional(B)", _optional_index),
)
