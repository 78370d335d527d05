"""What an evaluation has at hand: the variables, and what has been spent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias


class Cancelled(Exception):
    """The evaluation has cost too much. Not a ``CelError``: ``&&`` and ``||`` must not take it for a value."""


class Frame:
    """``names`` are the declared variables, ``locals`` those of comprehensions, by their depth."""

    __slots__ = ("_cost_max", "cost", "locals", "names")

    def __init__(self, names: dict[str, Any], locals_: int, cost_max: int) -> None:
        self.names = names
        self.locals: list[Any] = [None] * locals_
        self.cost = 0
        self._cost_max = cost_max

    def check(self) -> None:
        if self.cost > self._cost_max:
            raise Cancelled


Evaluate: TypeAlias = Callable[[Frame], Any]
