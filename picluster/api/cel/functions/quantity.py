"""Quantities, exactly. Source: ``cel/library/quantity.go``."""

from __future__ import annotations

from dataclasses import dataclass

from picluster.api import quantity
from picluster.api.cel import types
from picluster.api.cel.errors import CelError
from picluster.api.cel.functions.signatures import Overload, overload, traversal
from picluster.api.cel.values import INT_MAX, INT_MIN


@dataclass(frozen=True, slots=True)
class Quantity:
    """Equal to any quantity of the same value, however written."""

    nanos: int

    cel_type = types.QUANTITY


def _parse(text: str) -> Quantity:
    try:
        return Quantity(quantity.nanos(text))
    except ValueError as error:
        raise CelError(str(error)) from error


def _is_quantity(text: str) -> bool:
    try:
        quantity.nanos(text)
    except ValueError:
        return False
    return True


def _is_integer(value: Quantity) -> bool:
    return value.nanos % quantity.NANO == 0 and INT_MIN <= value.nanos // quantity.NANO <= INT_MAX


def _as_integer(value: Quantity) -> int:
    if not _is_integer(value):
        raise CelError("cannot convert value to integer")
    return value.nanos // quantity.NANO


def _compare(left: Quantity, right: Quantity) -> int:
    return (left.nanos > right.nanos) - (left.nanos < right.nanos)


FUNCTIONS: tuple[Overload, ...] = (
    overload("quantity", "(string) -> Quantity", _parse, traversal()),
    overload("isQuantity", "(string) -> bool", _is_quantity, traversal()),
    overload("sign", "Quantity.() -> int", lambda value: (value.nanos > 0) - (value.nanos < 0)),
    overload("isInteger", "Quantity.() -> bool", _is_integer),
    overload("asInteger", "Quantity.() -> int", _as_integer),
    overload("asApproximateFloat", "Quantity.() -> double", lambda value: value.nanos / quantity.NANO),
    overload("isGreaterThan", "Quantity.(Quantity) -> bool", lambda left, right: left.nanos > right.nanos),
    overload("isLessThan", "Quantity.(Quantity) -> bool", lambda left, right: left.nanos < right.nanos),
    overload("compareTo", "Quantity.(Quantity) -> int", _compare),
    overload("add", "Quantity.(Quantity) -> Quantity", lambda left, right: Quantity(left.nanos + right.nanos)),
    overload("add", "Quantity.(int) -> Quantity", lambda left, units: Quantity(left.nanos + units * quantity.NANO)),
    overload("sub", "Quantity.(Quantity) -> Quantity", lambda left, right: Quantity(left.nanos - right.nanos)),
    overload("sub", "Quantity.(int) -> Quantity", lambda left, units: Quantity(left.nanos - units * quantity.NANO)),
)
