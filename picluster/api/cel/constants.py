"""What is known before anything runs: literals, lists and maps of them, and their conversions; these cost nothing."""

from __future__ import annotations

from typing import Any

from picluster.api.cel.errors import CelError
from picluster.api.cel.tree import Call, ListLiteral, Literal, MapLiteral, Node
from picluster.api.cel.values import to_key

UNKNOWN = object()
_CONVERSIONS = frozenset(("bool", "bytes", "double", "duration", "int", "string", "timestamp", "uint"))


def constant(node: Node) -> Any:
    """The value of ``node``, or ``UNKNOWN`` when that takes an evaluation."""
    if isinstance(node, Literal):
        return node.value
    if isinstance(node, ListLiteral) and not node.optional:
        items = [constant(element) for element in node.elements]
        return UNKNOWN if any(item is UNKNOWN for item in items) else items
    if isinstance(node, MapLiteral):
        return _map(node)
    if isinstance(node, Call) and node.function in _CONVERSIONS and len(node.args) == 1 and node.target is None:
        return _converted(node)
    return UNKNOWN


def _map(node: MapLiteral) -> Any:
    made: dict[Any, Any] = {}
    for entry in node.entries:
        key, value = constant(entry.key), constant(entry.value)
        if entry.optional or key is UNKNOWN or value is UNKNOWN:
            return UNKNOWN
        try:
            made[to_key(key)] = value
        except CelError:
            return UNKNOWN
    return made if len(made) == len(node.entries) else UNKNOWN


def _converted(node: Call) -> Any:
    argument = constant(node.args[0])
    if argument is UNKNOWN:
        return UNKNOWN
    for overload in node.signatures:
        if overload.takes((argument,)):
            try:
                return overload.call(argument)
            except CelError:
                return UNKNOWN
    return UNKNOWN
