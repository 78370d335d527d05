"""The steps of a path as ``FieldsV1`` writes them, and as messages show them.

``f:<name>`` is a field or a key of a map, ``k:{…}`` an element of a list with keys, ``v:<JSON>`` one of a set.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import orjson

from picluster.api.apply.types import Type

SELF = "."
"""Stands in a set for the place itself, where fields below it are members too."""


class BadElement(ValueError):
    """An element that has no name of its own in its list."""


def field(name: str) -> str:
    return "f:" + name


def of_item(list_type: Type, item: Any) -> str:
    """The name of ``item`` in an associative list; raises ``BadElement``."""
    return _keyed(list_type, item) if list_type.keys else _value(item)


def index(list_type: Type, items: Iterable[Any]) -> dict[str, Any]:
    """The elements of a list by their names; the first one counts, and those without a name are left out."""
    found: dict[str, Any] = {}
    for item in items:
        try:
            found.setdefault(of_item(list_type, item), item)
        except BadElement:
            continue
    return found


def shown(element: str) -> str:
    """An element as ``fieldpath.Path`` prints it: ``.spec``, ``[name="web"]``, ``[="a"]``."""
    kind, _, text = element.partition(":")
    if kind == "f":
        return f".{text}"
    if kind == "k":
        return "[" + ",".join(f"{name}={_text(value)}" for name, value in sorted(orjson.loads(text).items())) + "]"
    return f"[={_text(orjson.loads(text))}]" if kind == "v" else f"[{text}]"


def canonical(element: str) -> str:
    """``element`` as it would be written here: no white space in its JSON, keys sorted."""
    kind, separator, text = element.partition(":")
    if kind not in ("k", "v") or not separator:
        return element
    return f"{kind}:{_dumps(orjson.loads(text))}"


def _keyed(list_type: Type, item: Any) -> str:
    if item is None:
        raise BadElement("associative list with keys may not have a null element")
    if not isinstance(item, dict):
        raise BadElement("associative list with keys may not have non-map elements")
    keys: dict[str, Any] = {}
    for name in list_type.keys:
        value = item.get(name)
        if value is None:
            value = list_type.key_defaults.get(name)
        if value is None:
            raise BadElement(
                f'associative list with keys has an element that omits key field "{name}"'
                " (and doesn't have default value)"
            )
        keys[name] = value
    return "k:" + _dumps(keys)


def _value(item: Any) -> str:
    if isinstance(item, dict):
        raise BadElement("associative list without keys has an element that's a map type")
    if isinstance(item, list):
        raise BadElement("not supported: associative list with lists as elements")
    if item is None:
        raise BadElement("associative list without keys has an element that's an explicit null")
    return "v:" + _dumps(item)


def _dumps(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
