"""Paths into an object, as rules and selectable fields write them: ``.spec.size`` (``ValidFieldPath``)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from picluster.api.structural.prune import additional
from picluster.api.types import Object

_TOKEN_RE = re.compile(r"'(?:\\.|[^'\\])*'|[.\[\]]|[^.\[\]]+")
_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "'": "'", "\\": "\\"}


class FieldPathError(ValueError):
    """The path is none, or leads nowhere in the schema; the text is Kubernetes'."""


def resolve(path: str, schema: Object, *, brackets: bool = True) -> tuple[str, Object]:
    """The path as errors show it, without the leading dot, and the schema it leads to; raises ``FieldPathError``."""
    tokens = iter(_TOKEN_RE.findall(path))
    shown = ""
    for token in tokens:
        if token == "[":  # noqa: S105
            if not brackets:
                raise FieldPathError("array notation is not allowed")
            name = _unquoted(_next(tokens))
            shown, schema = _step(shown, name, schema)
            closing = _next(tokens)
            if closing != "]":
                raise FieldPathError(f"expected ] but got {closing}")
        elif token == ".":  # noqa: S105
            shown, schema = _step(shown, _next(tokens), schema)
        else:
            raise FieldPathError(f"expected [ or . but got: {token}")
    return shown, schema


def _next(tokens: Iterator[str]) -> str:
    token = next(tokens, None)
    if token is None:
        raise FieldPathError("unexpected end of JSON path")
    return token


def _step(shown: str, name: str, schema: Object) -> tuple[str, Object]:
    if schema.get("properties"):
        if name not in schema["properties"]:
            raise FieldPathError("does not refer to a valid field")
        return (f"{shown}.{name}" if shown else name), schema["properties"][name]
    mapped = additional(schema)
    if mapped is None:
        raise FieldPathError("does not refer to a valid field")
    return f"{shown}[{name}]", mapped


def _unquoted(token: str) -> str:
    if len(token) < 2 or token[0] != "'" or token[-1] != "'":
        raise FieldPathError(f"expected single quoted string but got {token}")

    def unescape(found: re.Match[str]) -> str:
        if found[1] not in _ESCAPES:
            raise FieldPathError(f"invalid string literal: invalid escape char {found[0]}")
        return _ESCAPES[found[1]]

    return re.sub(r"\\(.)", unescape, token[1:-1])
