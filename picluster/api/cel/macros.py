"""What looks like a call and is not: ``has``, comprehensions over one or two variables, ``optMap``, ``optFlatMap``."""

from __future__ import annotations

from collections.abc import Callable

from picluster.api.cel.errors import CelSyntaxError
from picluster.api.cel.tree import Call, Fold, Ident, Node, OptionalFold, Select

Fail = Callable[[int, str], CelSyntaxError]

ACCUMULATOR = "__result__"
_ONE_VARIABLE = {
    "all": (2,),
    "exists": (2,),
    "exists_one": (2,),
    "existsOne": (2,),
    "map": (2, 3),
    "filter": (2,),
    "sortBy": (2,),
}
_TWO_VARIABLES = {
    "all": (3,), "exists": (3,), "existsOne": (3,), "exists_one": (3,), "transformList": (3, 4),
    "transformMap": (3, 4), "transformMapEntry": (3, 4),
}  # fmt: skip


def expand(call: Call, fail: Fail) -> Node:
    """What ``call`` means; raises what ``fail`` makes."""
    if call.target is None:
        return _has(call, fail) if call.function == "has" and len(call.args) == 1 else call
    count = len(call.args)
    if count in _ONE_VARIABLE.get(call.function, ()) and not _is_pair(call):
        return _fold(call, 1, fail)
    if count in _TWO_VARIABLES.get(call.function, ()):
        return _fold(call, 2, fail)
    if call.function in ("optMap", "optFlatMap") and count == 2:
        variable = _variable(call, 0, fail, f"{call.function}() variable name must be a simple identifier")
        return OptionalFold(call.at, call.target, variable, call.args[1], call.function == "optFlatMap")
    return call


def _is_pair(call: Call) -> bool:
    """``map`` has a form with three arguments and one variable; others with three have two variables."""
    return len(call.args) == 3 and call.function != "map"


def _has(call: Call, fail: Fail) -> Node:
    operand = call.args[0]
    if not isinstance(operand, Select) or operand.test:
        raise fail(call.at, "invalid argument to has() macro")
    return Select(call.at, operand.operand, operand.field, test=True)


def _fold(call: Call, variables: int, fail: Fail) -> Node:
    assert call.target is not None
    names = tuple(_variable(call, index, fail, "argument must be a simple name") for index in range(variables))
    if len(set(names)) < variables:
        raise fail(call.args[1].at, f"duplicate variable name: {names[0]}")
    rest = call.args[variables:]
    kind = "exists_one" if call.function == "existsOne" else call.function
    if kind in ("all", "exists", "exists_one", "filter"):
        return Fold(call.at, kind, call.target, names, rest[0], ())
    condition = rest[0] if len(rest) == 2 else None
    return Fold(call.at, kind, call.target, names, condition, (rest[-1],))


def _variable(call: Call, index: int, fail: Fail, message: str) -> str:
    argument = call.args[index]
    if not isinstance(argument, Ident) or argument.absolute:
        raise fail(argument.at, message)
    if argument.name == ACCUMULATOR:
        raise fail(argument.at, "iteration variable overwrites accumulator variable")
    return argument.name
