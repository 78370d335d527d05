"""The tree of an expression.

``at`` is the offset that errors about a node point at, as in cel-go: an operator's sign, a call's parenthesis.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from picluster.api.cel.types import DYN, Type


@dataclass(slots=True)
class Literal:
    at: int
    value: Any
    type: Type = DYN


@dataclass(slots=True)
class Ident:
    """``absolute`` names begin with a dot."""

    at: int
    name: str
    absolute: bool = False
    type: Type = DYN


@dataclass(slots=True)
class Select:
    """``operand.field``; ``has(operand.field)`` when ``test``; ``operand.?field`` when ``optional``."""

    at: int
    operand: Node
    field: str
    test: bool = False
    optional: bool = False
    type: Type = DYN


@dataclass(slots=True)
class Call:
    """A function or operator; ``signatures`` are the overloads that the checker found possible."""

    at: int
    function: str
    target: Node | None
    args: list[Node]
    type: Type = DYN
    signatures: tuple[Any, ...] = ()


@dataclass(slots=True)
class ListLiteral:
    """``optional`` are the indexes of the elements written ``?element``."""

    at: int
    elements: list[Node]
    optional: frozenset[int] = frozenset()
    type: Type = DYN


@dataclass(slots=True)
class Entry:
    at: int
    key: Node
    value: Node
    optional: bool


@dataclass(slots=True)
class MapLiteral:
    at: int
    entries: list[Entry]
    type: Type = DYN


@dataclass(slots=True)
class FieldInit:
    at: int
    name: str
    value: Node
    optional: bool


@dataclass(slots=True)
class StructLiteral:
    at: int
    name: str
    fields: list[FieldInit]
    type: Type = DYN


@dataclass(slots=True)
class Fold:
    """A comprehension macro: ``range.kind(variables…, condition?, results…)``."""

    at: int
    kind: str
    range: Node
    variables: tuple[str, ...]
    condition: Node | None
    results: tuple[Node, ...]
    type: Type = DYN


@dataclass(slots=True)
class OptionalFold:
    """``target.optMap(variable, result)``, or ``optFlatMap`` when ``flat``."""

    at: int
    target: Node
    variable: str
    result: Node
    flat: bool
    type: Type = DYN


Node: TypeAlias = Literal | Ident | Select | Call | ListLiteral | MapLiteral | StructLiteral | Fold | OptionalFold
