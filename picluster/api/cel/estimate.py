"""What an expression may cost at worst, from the sizes that its variables may have.

A rule of a definition that may cost too much is refused when it is written. The sums are those of cel-go's
``checker/cost.go`` and of Kubernetes' ``cel/library/cost.go``; nothing exceeds ``MOST``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from picluster.api.cel import types
from picluster.api.cel.checker import Checker
from picluster.api.cel.errors import CelCompileError
from picluster.api.cel.parser import parse
from picluster.api.cel.sizes import ITEMS, KEYS, MOST, VALUES, most_elements
from picluster.api.cel.tree import (
    Call,
    Fold,
    Ident,
    ListLiteral,
    Literal,
    MapLiteral,
    Node,
    OptionalFold,
    Select,
    StructLiteral,
)
from picluster.api.cel.types import Type
from picluster.api.types import Object

_STRING, _REGEX = 0.1, 0.25
_CHECK = 350_000
_SCALARS = frozenset((types.BOOL, types.INT, types.UINT, types.DOUBLE, types.TIMESTAMP, types.DURATION))
_ONCE = frozenset(("url", "isURL", "cidr", "isIP", "isCIDR", "ip", "quantity", "isQuantity", "semver", "isSemver"))
_TRAVERSED = frozenset(("lowerAscii", "upperAscii", "substring", "trim"))
_LISTED = frozenset(("isSorted", "sum", "max", "min", "indexOf", "lastIndexOf"))
_ORDERED = frozenset(("_<_", "_<=_", "_>_", "_>=_"))
_STEPS = {"all": 3, "exists": 4, "exists_one": 2, "filter": 13, "map": 12, "transformList": 12, "sortBy": 13}
_RESULTS = {"all": 1, "exists": 1, "exists_one": 2, "filter": 11, "map": 11, "transformList": 11, "sortBy": 12}
_MADE_STEP, _MADE_RESULT = 3, 31


class Sized(NamedTuple):
    """A cost, with what is known of the value: its largest size, and the path it is at."""

    cost: int
    size: int | None = None
    path: tuple[str, ...] | None = None


def most_cost(source: str, variables: Mapping[str, Type], schemas: Mapping[str, Object]) -> int:
    """The estimate for ``source``, whose ``variables`` have these schemas; what cannot be compiled costs nothing."""
    try:
        tree = parse(source)
    except CelCompileError:
        return 0
    checker = Checker(variables, patches=False)
    checker.check(tree)
    return 0 if checker.issues else min(_Estimator(checker, schemas).of(tree).cost, MOST)


class _Estimator:
    def __init__(self, checker: Checker, schemas: Mapping[str, Object]) -> None:
        self._checker = checker
        self._schemas = schemas
        self._locals: list[tuple[str, Sized]] = []

    def of(self, node: Node) -> Sized:
        match node:
            case Literal():
                return Sized(0, len(node.value) if isinstance(node.value, str | bytes) else 1)
            case Ident():
                return self._ident(node)
            case Select():
                return self._select(node)
            case Call():
                return self._call(node)
            case ListLiteral():
                return Sized(10 + self._sum(node.elements), len(node.elements))
            case MapLiteral():
                parts = [part for entry in node.entries for part in (entry.key, entry.value)]
                return Sized(30 + self._sum(parts), len(node.entries))
            case StructLiteral():
                return Sized(40 + self._sum([init.value for init in node.fields]))
            case Fold():
                return self._fold(node)
            case OptionalFold():
                return self._optional_fold(node)

    def _sum(self, nodes: Sequence[Node]) -> int:
        return sum(self.of(node).cost for node in nodes)

    def _type(self, node: Node) -> Type:
        return self._checker.final(node.type)

    def _at(self, cost: int, node: Node, path: tuple[str, ...] | None) -> Sized:
        """A value at a path of a variable, as large as the schema there allows."""
        size: int | None = None
        if path is not None and path[0] in self._schemas:
            size = most_elements(self._schemas[path[0]], path[1:])
        if self._type(node) in _SCALARS:
            size = 1
        return Sized(cost, size, path)

    def _ident(self, node: Ident) -> Sized:
        for name, known in reversed(self._locals):
            if name == node.name:
                return self._at(1, node, known.path) if known.path is not None else Sized(1, known.size)
        return self._at(1, node, (node.name,))

    def _select(self, node: Select) -> Sized:
        operand = self.of(node.operand)
        if not node.field or node.test:
            return Sized(operand.cost, 1)
        declared = self._type(node.operand)
        step = 1 if declared.name == "map" or isinstance(declared, types.ObjectType) else 0
        path = None if operand.path is None else (*operand.path, node.field)
        return self._at(operand.cost + step, node, path)

    def _fold(self, node: Fold) -> Sized:
        over = self.of(node.range)
        is_map = self._type(node.range).name == "map"
        below = [over.path and (*over.path, KEYS), over.path and (*over.path, VALUES if is_map else ITEMS)]
        paths = below if len(node.variables) == 2 else [below[0] if is_map else below[1]]
        depth = len(self._locals)
        self._locals.extend(
            (name, Sized(1, None, path or None)) for name, path in zip(node.variables, paths, strict=True)
        )
        parts = [node.condition, *node.results] if node.condition is not None else list(node.results)
        step = self._sum(parts) + _STEPS.get(node.kind, _MADE_STEP)
        del self._locals[depth:]
        count = MOST if over.size is None else over.size
        cost = over.cost + _RESULTS.get(node.kind, _MADE_RESULT) + count * step
        return Sized(min(cost, MOST), 1 if node.kind in ("all", "exists", "exists_one") else count)

    def _optional_fold(self, node: OptionalFold) -> Sized:
        target = self.of(node.target)
        self._locals.append((node.variable, Sized(1, target.size, target.path)))
        result = self.of(node.result)
        self._locals.pop()
        return Sized(target.cost + result.cost + 2, result.size)

    def _call(self, node: Call) -> Sized:
        nodes = node.args if node.target is None else [node.target, *node.args]
        args = [self.of(arg) for arg in nodes]
        if node.function == "_?_:_":
            condition, then, otherwise = args
            known = None if None in (then.size, otherwise.size) else max(then.size or 0, otherwise.size or 0)
            return Sized(condition.cost + max(then.cost, otherwise.cost), known)
        spent = sum(arg.cost for arg in args)
        if node.function in ("_&&_", "_||_"):
            return Sized(min(spent, MOST), 1)
        if node.function == "dyn":
            return Sized(spent + 1, args[0].size, args[0].path)
        if node.function == "_[_]":
            step = VALUES if self._type(nodes[0]).name == "map" else ITEMS
            path = None if args[0].path is None else (*args[0].path, step)
            return self._at(spent + 1, node, path)
        cost, size = self._function(node, nodes, args)
        if self._type(node) in _SCALARS:
            size = 1
        return Sized(min(spent + cost, MOST), size)

    def _function(self, node: Call, nodes: Sequence[Node], args: Sequence[Sized]) -> tuple[int, int | None]:
        """What the call itself costs, and the size of what it gives."""
        name, sizes = node.function, [MOST if arg.size is None else arg.size for arg in args]
        if name == "check":
            return _CHECK, 1
        if name in _LISTED:
            return self._listed(nodes[0], args[0], sizes[0]), 1
        if name in ("_==_", "_!=_") or (name in _ORDERED and self._type(nodes[0]) in (types.STRING, types.BYTES)):
            return _ceil(min(sizes[0], sizes[1]), _STRING), 1
        if name == "@in" and self._type(nodes[1]).name == "list":
            return sizes[1], 1
        if name == "_+_" and self._type(nodes[0]).name == "list":
            return 1, _plus(sizes[0], sizes[1])
        if name == "_+_" and self._type(nodes[0]) in (types.STRING, types.BYTES):
            joined = _plus(sizes[0], sizes[1])
            return _ceil(joined, _STRING), joined
        return self._text(name, sizes)

    def _listed(self, node: Node, arg: Sized, size: int) -> int:
        declared = self._type(node)
        if declared.name != "list":
            return _ceil(size, _STRING)
        each = 1
        if declared.params and declared.params[0] in (types.STRING, types.BYTES):
            inner = None
            if arg.path is not None and arg.path[0] in self._schemas:
                inner = most_elements(self._schemas[arg.path[0]], (*arg.path[1:], ITEMS))
            each += _ceil(MOST if inner is None else inner, _STRING)
        return size * each

    def _text(self, name: str, sizes: Sequence[int]) -> tuple[int, int | None]:
        match name:
            case "matches" | "find" | "findAll":
                return _ceil(_plus(sizes[0], 1), _STRING) * _ceil(sizes[1], _REGEX), sizes[0]
            case "contains":
                return _ceil(sizes[0], _STRING) * _ceil(sizes[1], _STRING), 1
            case "startsWith" | "endsWith":
                return _ceil(sizes[1], _STRING), 1
            case "replace":
                return _ceil(sizes[0], 2 * _STRING), _replaced(sizes)
            case "split":
                return _ceil(sizes[0], 2 * _STRING), sizes[0]
            case "join" | "format":
                return _ceil(sizes[0], _STRING), sizes[0]
            case "bytes":
                return _ceil(sizes[0], _STRING), min(4 * sizes[0], MOST)
            case "string":
                return _ceil(sizes[0], _STRING) if sizes[0] > 1 else 1, sizes[0]
        if name in _TRAVERSED:
            return _ceil(sizes[0], _STRING), sizes[0]
        if name in _ONCE and sizes:
            return _ceil(sizes[0], _STRING), 1
        return 1, None


def _plus(one: int, other: int) -> int:
    return min(one + other, MOST)


def _ceil(size: int, factor: float) -> int:
    return MOST if size >= MOST else math.ceil(size * factor)


def _replaced(sizes: Sequence[int]) -> int:
    """How long a text may be after ``replace``, with a text to find that may be empty."""
    return min(_plus(sizes[0], 1) * sizes[2] + sizes[0], MOST) if len(sizes) > 2 else sizes[0]
