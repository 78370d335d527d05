"""Optional values. Source: cel-go's ``OptionalTypes``."""

from __future__ import annotations

from typing import Any

from picluster.api.cel.errors import CelError
from picluster.api.cel.functions.signatures import Overload, overload
from picluster.api.cel.times import Duration, Timestamp
from picluster.api.cel.values import NONE, ListView, MapView, ObjectView, Optional, type_of


def _of_non_zero(value: Any) -> Optional:
    return NONE if is_zero(value) else Optional(value)


def is_zero(value: Any) -> bool:
    """Whether ``value`` is what its type starts with: empty, zero, false, null."""
    if isinstance(value, ObjectView | MapView | ListView):
        return not value.raw
    if isinstance(value, Duration | Timestamp):
        return value.nanos == 0
    if isinstance(value, Optional):
        return not value.present
    return value is None or (isinstance(value, bool | int | float | str | bytes | list | dict) and not value)


def _value(optional: Optional) -> Any:
    if not optional.present:
        raise CelError("optional.none() dereference")
    return optional.value


def _either(optional: Optional, other: Optional) -> Optional:
    return optional if optional.present else other


def _or_value(optional: Any, other: Any) -> Any:
    if not isinstance(optional, Optional):
        raise CelError(f"no such overload: orValue({type_of(optional)}, {type_of(other)})")
    return optional.value if optional.present else other


def _unwrap(optionals: list[Optional]) -> list[Any]:
    return [optional.value for optional in optionals if optional.present]


FUNCTIONS: tuple[Overload, ...] = (
    overload("optional.of", "(A) -> optional(A)", Optional),
    overload("optional.ofNonZeroValue", "(A) -> optional(A)", _of_non_zero),
    overload("optional.none", "() -> optional(A)", lambda: NONE),
    overload("hasValue", "optional(A).() -> bool", lambda optional: optional.present),
    overload("value", "optional(A).() -> A", _value),
    overload("or", "optional(A).(optional(A)) -> optional(A)", _either),
    overload("orValue", "optional(A).(A) -> A", _or_value),
    overload("first", "list(A).() -> optional(A)", lambda items: Optional(items[0]) if len(items) else NONE),
    overload(
        "last", "list(A).() -> optional(A)", lambda items: Optional(items[len(items) - 1]) if len(items) else NONE
    ),
    overload("optional.unwrap", "(list(optional(A))) -> list(A)", _unwrap),
    overload("unwrapOpt", "list(optional(A)).() -> list(A)", _unwrap),
)
