"""What a function of a library is: its signature, what it does, what it costs."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from picluster.api.cel import types
from picluster.api.cel.types import ParamType, Type
from picluster.api.cel.values import LISTS, MAPS, ObjectView, Optional, Uint, size_of

Cost = Callable[[Sequence[Any], Any], int]
STRING_FACTOR = 0.1
REGEX_FACTOR = 0.25

_NAMES: dict[str, Type] = {
    "bool": types.BOOL, "int": types.INT, "uint": types.UINT, "double": types.DOUBLE, "string": types.STRING,
    "bytes": types.BYTES, "null": types.NULL, "dyn": types.DYN, "timestamp": types.TIMESTAMP,
    "duration": types.DURATION, "Quantity": types.QUANTITY, "URL": types.URL, "IP": types.IP, "CIDR": types.CIDR,
    "Semver": types.SEMVER, "Format": types.FORMAT, "Authorizer": types.AUTHORIZER, "PathCheck": types.PATH_CHECK,
    "GroupCheck": types.GROUP_CHECK, "ResourceCheck": types.RESOURCE_CHECK, "Decision": types.DECISION,
}  # fmt: skip
_MADE = {"list": "list", "map": "map", "optional": "optional_type", "type": "type"}
_WORD = re.compile(r"\s*(\w+|->|[().,])")


@dataclass(frozen=True, slots=True)
class Overload:
    """``params`` include the receiver of a method; ``cost`` of ``None`` is one, whatever the arguments."""

    function: str
    params: tuple[Type, ...]
    result: Type
    member: bool
    call: Callable[..., Any]
    cost: Cost | None
    accepts: tuple[Callable[[Any], bool] | None, ...]

    def takes(self, args: Sequence[Any]) -> bool:
        """Whether values of these runtime types fit."""
        return all(accept is None or accept(arg) for accept, arg in zip(self.accepts, args, strict=True))


def overload(function: str, signature: str, call: Callable[..., Any], cost: Cost | None = None) -> Overload:
    words = _WORD.findall(signature)
    params: list[Type] = []
    member = words[0] != "("
    if member:
        params.append(_type(words))
        words.pop(0)
    words.pop(0)
    while words[0] != ")":
        params.append(_type(words))
        if words[0] == ",":
            words.pop(0)
    del words[:2]
    result = _type(words)
    return Overload(function, tuple(params), result, member, call, cost, tuple(map(_acceptor, params)))


def _type(words: list[str]) -> Type:
    name = words.pop(0)
    if name not in _MADE or not words or words[0] != "(":
        return _NAMES.get(name) or (types.LIST if name == "list" else ParamType(name))
    params: list[Type] = []
    while words.pop(0) != ")":
        params.append(_type(words))
    return Type(_MADE[name], *params)


_CLASSES: dict[str, tuple[type, ...]] = {
    "list": LISTS, "map": (*MAPS, ObjectView), "string": (str,), "bytes": (bytes,), "double": (float,),
    "bool": (bool,), "uint": (Uint,), "optional_type": (Optional,), "type": (Type,), "null_type": (type(None),),
}  # fmt: skip


def _acceptor(param: Type) -> Callable[[Any], bool] | None:
    """What tells whether a value is of ``param``'s kind; ``None`` when every value is."""
    if isinstance(param, ParamType) or param == types.DYN:
        return None
    if param == types.INT:
        return lambda value: type(value) is int
    classes = _CLASSES.get(param.name)
    if classes is not None:
        return lambda value: isinstance(value, classes)
    from picluster.api.cel.values import type_of

    return lambda value: type_of(value) == param


def traversal(argument: int = 0, factor: float = STRING_FACTOR) -> Cost:
    """The cost of going once through the string or list that is ``argument``."""
    return lambda args, result: math.ceil(size_of(args[argument]) * factor)


def traversal_of_result(factor: float) -> Cost:
    return lambda args, result: math.ceil(size_of(result) * factor)


def regex_cost(args: Sequence[Any], result: Any) -> int:
    text = math.ceil((1 + size_of(args[0])) * STRING_FACTOR)
    return text * math.ceil(size_of(args[1]) * REGEX_FACTOR)


def elements_cost(args: Sequence[Any], result: Any) -> int:
    """One per element, and the traversal of those that are strings (``traversalCost`` of Kubernetes' estimator)."""
    return _traversal(args[0])


def _traversal(value: Any) -> int:
    if isinstance(value, str | bytes):
        return int(len(value) * STRING_FACTOR)
    if isinstance(value, LISTS):
        return sum(_traversal(item) for item in value)
    return 1
