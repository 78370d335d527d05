"""JSONPath as printer columns use it: the simple templates of ``k8s.io/client-go/util/jsonpath``. PURE.

``.status.conditions[?(@.type=="Ready")].status``, ``.spec.ports[0].name``, ``.items[*]``, ``..name``,
``.metadata.annotations.a\\.b/c``, ``['a.b']``, ``[1:3]``, ``[-1]``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

Step = Callable[[Any], Iterator[Any]]

_TOKEN_RE = re.compile(
    r"(?P<deep>\.\.)|\.?\[(?P<bracket>(?:'(?:\\.|[^'])*'|\"(?:\\.|[^\"])*\"|[^\]'\"])*)\]"
    r"|\.?(?P<name>(?:\\.|[^.\[\]\\])+)|(?P<dot>\.)"
)
_FILTER_RE = re.compile(r"\?\(\s*(?P<left>.+?)\s*(?:(?P<operator>==|!=|<=|>=|<|>)\s*(?P<right>.+?)\s*)?\)")
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda a, b: bool(a == b),
    "!=": lambda a, b: bool(a != b),
    "<": lambda a, b: bool(a < b),
    "<=": lambda a, b: bool(a <= b),
    ">": lambda a, b: bool(a > b),
    ">=": lambda a, b: bool(a >= b),
}
PATHS_MAX = 1024


class JsonPathError(ValueError):
    """No JSONPath that this understands."""


def find(path: str, obj: Any) -> list[Any]:
    """What ``path`` leads to in ``obj``; raises ``JsonPathError`` for a path that cannot be read."""
    found = [obj]
    for step in steps(path):
        found = [after for value in found for after in step(value)]
    return found


@lru_cache(maxsize=PATHS_MAX)
def steps(path: str) -> tuple[Step, ...]:
    """The steps of a path; raises ``JsonPathError``."""
    path = path.strip().removeprefix("$").removeprefix("@")
    made: list[Step] = []
    at = 0
    while at < len(path):
        token = _TOKEN_RE.match(path, at)
        if token is None:
            raise JsonPathError(f"unrecognized character in {path!r} at {at}")
        at = token.end()
        if token["deep"]:
            made.append(_deep)
        elif token["bracket"] is not None:
            made.append(_bracket(token["bracket"].strip()))
        elif token["name"] is not None:
            made.append(_every if token["name"] == "*" else _field(re.sub(r"\\(.)", r"\1", token["name"])))
    return tuple(made)


def _field(name: str) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, dict) and name in value:
            yield value[name]

    return step


def _every(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _deep(value: Any) -> Iterator[Any]:
    yield value
    for child in _every(value):
        yield from _deep(child)


def _bracket(text: str) -> Step:
    if text == "*":
        return _every
    if text.startswith("?"):
        return _filter(text)
    if text[:1] in ("'", '"'):
        names = [_literal(part) for part in re.findall(r"'(?:\\.|[^'])*'|\"(?:\\.|[^\"])*\"", text)]
        return lambda value: (value[name] for name in names if isinstance(value, dict) and name in value)
    try:
        if ":" in text:
            bounds = [int(part) if part.strip() else None for part in text.split(":")]
            return lambda value: iter(value[slice(*bounds)] if isinstance(value, list) else ())
        indexes = [int(part) for part in text.split(",")]
    except ValueError:
        raise JsonPathError(f"invalid array index {text}") from None
    return lambda value: (
        value[index] for index in indexes if isinstance(value, list) and -len(value) <= index < len(value)
    )


def _filter(text: str) -> Step:
    found = _FILTER_RE.fullmatch(text)
    if found is None:
        raise JsonPathError(f"unterminated filter {text}")
    left, operator, right = _operand(found["left"]), found["operator"], found["right"]
    if not operator:
        return lambda value: (element for element in _elements(value) if left(element))
    compare, other = _COMPARE[operator], _operand(right)

    def step(value: Any) -> Iterator[Any]:
        for element in _elements(value):
            for one, another in zip(left(element), other(element), strict=False):
                if type(one) is type(another) and compare(one, another):
                    yield element

    return step


def _elements(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _operand(text: str) -> Callable[[Any], list[Any]]:
    if text.startswith(("@", "$", ".")):
        return lambda element: find(text, element)
    literal = _literal(text)
    return lambda element: [literal]


def _literal(text: str) -> Any:
    if text[:1] == "'":
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    try:
        return json.loads(text)
    except ValueError:
        raise JsonPathError(f"unrecognized value {text}") from None
