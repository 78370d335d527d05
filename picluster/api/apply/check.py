"""Refuses what has no place in a schema, in the words of structured-merge-diff's ``typed.ValidationErrors``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from picluster.api.apply import elements
from picluster.api.apply.types import Type, resolved


class Mistake(NamedTuple):
    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


def mistakes(of_type: Type, value: Any) -> list[Mistake]:
    """Everything in ``value`` that is not as its type says: kinds of values, unknown fields, doubled elements."""
    return list(_value(of_type, value, ""))


def summary(found: list[Mistake]) -> str:
    if len(found) == 1:
        return str(found[0])
    return "\n".join(["errors:", *(f"  {mistake}" for mistake in found)])


def _value(of_type: Type, value: Any, path: str) -> Iterator[Mistake]:
    if value is None:
        return
    of_type = resolved(of_type, value)
    if of_type.kind == "scalar":
        if (message := _scalar(of_type.scalar, value)) is not None:
            yield Mistake(path, message)
    elif of_type.kind == "map":
        if isinstance(value, dict):
            yield from _fields(of_type, value, path)
        else:
            yield Mistake(path, f"expected map, got &{{{go_text(value)}}}")
    elif isinstance(value, list):
        yield from _items(of_type, value, path)
    else:
        yield Mistake(path, f"expected list, got &{{{go_text(value)}}}")


def _fields(of_type: Type, value: dict[str, Any], path: str) -> Iterator[Mistake]:
    for name, child in value.items():
        child_type = of_type.child(name)
        if child_type is None:
            yield Mistake(f"{path}.{name}", "field not declared in schema")
        else:
            yield from _value(child_type, child, f"{path}.{name}")


def _items(of_type: Type, value: list[Any], path: str) -> Iterator[Mistake]:
    seen: set[str] = set()
    assert of_type.element is not None
    for position, item in enumerate(value):
        if of_type.atomic:
            yield from _value(of_type.element, item, f"{path}[{position}]")
            continue
        try:
            name = elements.of_item(of_type, item)
        except elements.BadElement as error:
            yield Mistake(path, f"element {position}: {error}")
            return
        if name in seen:
            yield Mistake(path, f"duplicate entries for key {elements.shown(name)}")
        seen.add(name)
        yield from _value(of_type.element, item, path + elements.shown(name))


def _scalar(scalar: str, value: Any) -> str | None:
    if scalar == "string" and not isinstance(value, str):
        return f"expected string, got &value.valueUnstructured{{Value:{go_text(value)}}}"
    if scalar == "boolean" and not isinstance(value, bool):
        return f"expected boolean, got &{{{go_text(value)}}}"
    if scalar == "numeric" and (isinstance(value, bool) or not isinstance(value, int | float)):
        return f"expected numeric (int or float), got {_go_type(value)}"
    if isinstance(value, dict | list):
        return f"expected any scalar, got &{{{go_text(value)}}}"
    return None


def go_text(value: Any) -> str:
    """A value as Go's ``%v`` prints it."""
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{go_text(child)}" for key, child in sorted(value.items())) + "]"
    if isinstance(value, list):
        return "[" + " ".join(map(go_text, value)) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "<nil>" if value is None else str(value)


def _go_type(value: Any) -> str:
    if isinstance(value, dict):
        return "map[string]interface {}"
    if isinstance(value, list):
        return "[]interface {}"
    return "bool" if isinstance(value, bool) else "string"
