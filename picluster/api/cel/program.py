"""A checked tree becomes closures, each of which gives a value and counts what it costs.

Costs are those of cel-go's ``interpreter/runtimecost.go``: one for a name and for each selection, what an overload says
for a call, ten for a list. An evaluation that exceeds ``PER_CALL_COST_MAX`` is cancelled at the next step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from picluster.api.cel import PER_CALL_COST_MAX, Budget, folds, types
from picluster.api.cel.checker import Checker
from picluster.api.cel.constants import UNKNOWN, constant
from picluster.api.cel.errors import (
    CelBudgetError,
    CelError,
    CelLimitError,
    CelResultTypeError,
    CelSyntaxError,
    CelTypeError,
    Issue,
    render,
)
from picluster.api.cel.frame import Cancelled, Evaluate, Frame
from picluster.api.cel.functions.operators import contains
from picluster.api.cel.functions.signatures import Overload
from picluster.api.cel.parser import TOO_DEEP, parse
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
from picluster.api.cel.values import (
    NO_OVERLOAD,
    NONE,
    Built,
    Optional,
    has_key,
    index,
    to_key,
    type_of,
    unwrap,
    wrap,
)

Bindings: TypeAlias = Mapping[str, Any]
LIST_COST, MAP_COST, STRUCT_COST = 10, 30, 40


def compile_program(
    source: str, variables: Mapping[str, Type], want: tuple[Type, ...], patches: bool
) -> CompiledProgram:
    """See ``picluster.api.cel.compile_expression``."""
    tree = parse(source)
    checker = Checker(variables, patches=patches)
    try:
        found = checker.final(checker.check(tree))
        if checker.issues:
            raise CelTypeError(render(checker.issues, source))
        compiler = _Compiler(variables)
        run = compiler.compile(tree)
    except RecursionError:
        raise CelSyntaxError(render([Issue(0, TOO_DEEP)], source)) from None
    if want and found not in want:
        raise CelResultTypeError(f"must evaluate to {_choice(want)} but got {found}", str(found))
    return CompiledProgram(
        source, found, run, {name: variables[name] for name in sorted(compiler.used)}, compiler.depth
    )


def _choice(want: tuple[Type, ...]) -> str:
    return str(want[0]) if len(want) == 1 else f"one of [{' '.join(map(str, want))}]"


class CompiledProgram:
    """See ``picluster.api.cel.Program``."""

    __slots__ = ("_locals", "_run", "source", "type", "variables")

    def __init__(self, source: str, type_: Type, run: Evaluate, variables: Mapping[str, Type], locals_: int) -> None:
        self.source = source
        self.type = type_
        self.variables = variables
        self._run = run
        self._locals = locals_

    def evaluate(self, bindings: Bindings, budget: Budget | None = None) -> Any:
        return unwrap(self.value(bindings, budget))

    def value(self, bindings: Bindings, budget: Budget | None = None) -> Any:
        frame = Frame({}, self._locals, PER_CALL_COST_MAX)
        try:
            frame.names = {name: wrap(bindings.get(name), type_) for name, type_ in self.variables.items()}
            value = self._run(frame)
            frame.check()
        except Cancelled:
            if budget is not None:
                budget.spend(frame.cost)
            raise CelLimitError() from None
        except CelBudgetError:
            raise
        except CelError:
            if budget is not None:
                budget.spend(frame.cost)
            raise
        except (TypeError, ValueError, AttributeError, LookupError) as error:
            raise CelError(NO_OVERLOAD) from error
        except (RecursionError, OverflowError, MemoryError) as error:
            raise CelError(f"evaluation failed: {type(error).__name__}") from error
        if budget is not None:
            budget.spend(frame.cost)
        return value


class _Compiler:
    """``used`` are the variables that the tree reads, ``depth`` how many local ones are alive at once."""

    def __init__(self, variables: Mapping[str, Type]) -> None:
        self.used: set[str] = set()
        self.depth = 0
        self._variables = variables
        self._scope: list[str] = []

    def compile(self, node: Node) -> Evaluate:
        value = constant(node)
        if value is not UNKNOWN:
            return lambda frame: value
        match node:
            case Literal():
                raise AssertionError("a literal is constant")
            case Ident():
                return self._ident(node)
            case Select():
                return self._select(node)
            case Call():
                return self._call(node)
            case ListLiteral():
                return self._list(node)
            case MapLiteral():
                return self._map(node)
            case StructLiteral():
                return self._struct(node)
            case Fold():
                return self._fold(node)
            case OptionalFold():
                return self._optional_fold(node)

    def _ident(self, node: Ident) -> Evaluate:
        name = node.name
        if name in self._scope and not node.absolute:
            slot = len(self._scope) - 1 - self._scope[::-1].index(name)
            return _local(slot)
        if name in self._variables:
            self.used.add(name)
            return _global(name)
        denoted = node.type.params[0]
        return lambda frame: denoted

    def _select(self, node: Select) -> Evaluate:
        if not node.field:
            return self.compile(node.operand)
        operand, field = self.compile(node.operand), node.field
        if node.test:
            return lambda frame: _has(operand(frame), field)
        cost = 1 if _is_attribute(node.operand) else 2
        if node.optional:
            return _optional_selection(operand, field, cost)
        return _selection(operand, field, cost)

    def _call(self, node: Call) -> Evaluate:
        if node.function == "_&&_":
            return folds.both(*map(self.compile, node.args))
        if node.function == "_||_":
            return folds.either(*map(self.compile, node.args))
        if node.function == "_?_:_":
            return folds.conditional(*map(self.compile, node.args))
        arguments = node.args if node.target is None else [node.target, *node.args]
        compiled = tuple(map(self.compile, arguments))
        if node.function == "_[_]":
            # A key that is a path itself is part of the path that it is a step of.
            cost = 0 if isinstance(node.args[1], Ident | Select) else 1
            return _dynamic_index(compiled[0], compiled[1], cost if _is_attribute(node.args[0]) else cost + 1)
        if node.function == "@in" and isinstance(known := constant(node.args[1]), list):
            return _membership(compiled[0], known)
        if len(node.signatures) == 1 and not any(_may_be_anything(arg.type) for arg in arguments):
            return _direct_call(node.signatures[0], compiled)
        return _dispatched_call(node.function, node.signatures, compiled)

    def _list(self, node: ListLiteral) -> Evaluate:
        items = tuple(map(self.compile, node.elements))
        optional = node.optional

        def make(frame: Frame) -> list[Any]:
            frame.cost += LIST_COST
            if not optional:
                return [item(frame) for item in items]
            made: list[Any] = []
            for position, item in enumerate(items):
                value = item(frame)
                if position not in optional:
                    made.append(value)
                elif _held(value).present:
                    made.append(value.value)
            return made

        return make

    def _map(self, node: MapLiteral) -> Evaluate:
        entries = [(self.compile(entry.key), self.compile(entry.value), entry.optional) for entry in node.entries]

        def make(frame: Frame) -> dict[Any, Any]:
            frame.cost += MAP_COST
            made: dict[Any, Any] = {}
            for key_of, value_of, optional in entries:
                key, value = to_key(key_of(frame)), value_of(frame)
                if key in made:
                    raise CelError("Failed with repeated key")
                if not optional:
                    made[key] = value
                elif _held(value).present:
                    made[key] = value.value
            return made

        return make

    def _struct(self, node: StructLiteral) -> Evaluate:
        fields = [(init.name, self.compile(init.value), init.optional) for init in node.fields]
        type_ = Type(node.name)

        def make(frame: Frame) -> Built:
            frame.cost += STRUCT_COST
            made: dict[str, Any] = {}
            for name, value_of, optional in fields:
                value = value_of(frame)
                if not optional:
                    made[name] = value
                elif _held(value).present:
                    made[name] = value.value
            return Built(type_, made)

        return make

    def _fold(self, node: Fold) -> Evaluate:
        over = self.compile(node.range)
        slot = len(self._scope)
        self._scope.extend(node.variables)
        self.depth = max(self.depth, len(self._scope))
        condition = self.compile(node.condition) if node.condition is not None else None
        results = [self.compile(result) for result in node.results]
        del self._scope[slot:]
        return folds.fold(node.kind, over, slot, len(node.variables), condition, results[0] if results else None)

    def _optional_fold(self, node: OptionalFold) -> Evaluate:
        target, slot = self.compile(node.target), len(self._scope)
        self._scope.append(node.variable)
        self.depth = max(self.depth, len(self._scope))
        result = self.compile(node.result)
        self._scope.pop()
        flat = node.flat

        def run(frame: Frame) -> Any:
            frame.cost += 1
            held = _held(target(frame))
            if not held.present:
                return NONE
            frame.locals[slot] = held.value
            value = result(frame)
            return value if flat else Optional(value)

        return run


def _local(slot: int) -> Evaluate:
    def read(frame: Frame) -> Any:
        frame.cost += 1
        return frame.locals[slot]

    return read


def _global(name: str) -> Evaluate:
    def read(frame: Frame) -> Any:
        frame.cost += 1
        return frame.names[name]

    return read


def _is_attribute(node: Node) -> bool:
    """Whether selecting from ``node`` continues a path that begins with a variable."""
    return isinstance(node, Ident | Select) or (isinstance(node, Call) and node.function == "_[_]")


def _may_be_anything(type_: Type) -> bool:
    """Whether values of the type may turn out not to fit: it is dynamic, or null may stand for it."""
    return type_ in (types.DYN, types.ERROR, types.NULL) or isinstance(type_, types.ParamType)


def _held(value: Any) -> Optional:
    if not isinstance(value, Optional):
        raise CelError(f"cannot initialize optional entry from non-optional value {type_of(value)}")
    return value


def _has(value: Any, field: str) -> bool:
    if isinstance(value, Optional):
        return value.present and _has(value.value, field)
    return field in value if isinstance(value, dict) else not isinstance(value, list) and has_key(value, field)


def _selection(operand: Evaluate, field: str, cost: int) -> Evaluate:
    def select(frame: Frame) -> Any:
        frame.cost += cost
        value = operand(frame)
        if type(value) is dict:
            if field in value:
                return value[field]
            raise CelError(f"no such key: {field}")
        if isinstance(value, Optional):
            return Optional(index(value.value, field)) if _has(value, field) else NONE
        return index(value, field)

    return select


def _optional_selection(operand: Evaluate, field: str, cost: int) -> Evaluate:
    def select(frame: Frame) -> Any:
        frame.cost += cost
        value = operand(frame)
        if not _has(value, field):
            return NONE
        return Optional(index(value.value if isinstance(value, Optional) else value, field))

    return select


def _membership(value_of: Evaluate, known: list[Any]) -> Evaluate:
    """``value in`` a list that is written out; it costs nothing."""
    return lambda frame: contains(value_of(frame), known)


def _dynamic_index(operand: Evaluate, key: Evaluate, cost: int) -> Evaluate:
    def find(frame: Frame) -> Any:
        frame.cost += cost
        value, wanted = operand(frame), key(frame)
        if isinstance(value, Optional):
            return Optional(index(value.value, wanted)) if value.present and has_key(value.value, wanted) else NONE
        return index(value, wanted)

    return find


def _direct_call(overload: Overload, compiled: Sequence[Evaluate]) -> Evaluate:
    call, cost = overload.call, overload.cost
    if cost is None and len(compiled) == 2:
        first, second = compiled

        def binary(frame: Frame) -> Any:
            frame.cost += 1
            return call(first(frame), second(frame))

        return binary

    def run(frame: Frame) -> Any:
        args = [argument(frame) for argument in compiled]
        return _charged(frame, overload, args)

    return run


def _charged(frame: Frame, overload: Overload, args: Sequence[Any]) -> Any:
    value = overload.call(*args)
    if overload.cost is None:
        frame.cost += 1
    else:
        frame.cost += overload.cost(args, value)
        frame.check()
    return value


def _dispatched_call(function: str, overloads: Sequence[Overload], compiled: Sequence[Evaluate]) -> Evaluate:
    """A call whose arguments' types are known only now; what fits depends on their classes alone, and is kept."""
    known: dict[tuple[type, ...], Overload] = {}

    def run(frame: Frame) -> Any:
        args = [argument(frame) for argument in compiled]
        classes = tuple(map(type, args))
        overload = known.get(classes)
        if overload is None:
            overload = known[classes] = _fitting(function, overloads, args)
        return _charged(frame, overload, args)

    return run


def _fitting(function: str, overloads: Sequence[Overload], args: Sequence[Any]) -> Overload:
    for overload in overloads:
        if overload.takes(args):
            return overload
    if not function[0].isalpha():
        raise CelError(NO_OVERLOAD)
    raise CelError(f"{NO_OVERLOAD}: {function}({', '.join(str(type_of(arg)) for arg in args)})")
