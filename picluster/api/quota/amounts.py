"""Sums of resources by name, in nanos."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from picluster.api.quantity import Style, nanos, parse, render
from picluster.api.types import Object

Amounts = dict[str, int]


def read(resources: Object | None) -> Amounts:
    return {name: nanos(quantity) for name, quantity in (resources or {}).items()}


def add(left: Mapping[str, int], right: Mapping[str, int]) -> Amounts:
    return {name: left.get(name, 0) + right.get(name, 0) for name in {**left, **right}}


def subtract(left: Mapping[str, int], right: Mapping[str, int]) -> Amounts:
    return {name: left.get(name, 0) - right.get(name, 0) for name in {**left, **right}}


def only(amounts: Mapping[str, int], names: Iterable[str]) -> Amounts:
    wanted = set(names)
    return {name: amount for name, amount in amounts.items() if name in wanted}


def write(amounts: Mapping[str, int], like: Object) -> Object:
    """As quantities, each in the style that ``like`` has for its name."""
    return {name: render(amount, _style(like.get(name))) for name, amount in sorted(amounts.items())}


def shown(resources: Object) -> str:
    """``cpu=1,pods=2``: how refusals name amounts."""
    return ",".join(f"{name}={quantity}" for name, quantity in sorted(resources.items()))


def _style(quantity: str | int | float | None) -> Style:
    return Style.DECIMAL if quantity is None else parse(quantity)[1]
