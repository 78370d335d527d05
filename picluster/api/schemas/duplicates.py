"""Fields that a JSON text names twice: a decoder keeps the last one and says nothing.

Strict clients (``kubectl`` by default) want to hear of it. Counting keys tells in a microsecond that a text has no
duplicate; only when the counts differ is the text read again with the order of its pairs kept.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

import orjson

DUPLICATES_MAX = 100
_KEY_END = b'":'
_UNCOUNTABLE = (b" :", b"\n:", b"\t:", b"\r:", b"\\u0022")
"""White space between a key and its colon, or an escaped quotation mark, would make counting wrong."""


class _Pairs(list[tuple[str, Any]]):
    """An object as the pairs it was written with."""


def duplicate_fields(raw: bytes, obj: Any = None) -> list[str]:
    """The paths of fields that occur twice in one object; ``obj`` is ``raw`` decoded, when it is at hand unchanged."""
    if obj is None:
        obj = orjson.loads(raw)
    if _countable(raw) and raw.count(_KEY_END) == orjson.dumps(obj).count(_KEY_END):
        return []
    found: dict[str, None] = {}
    _walk(json.loads(raw, object_pairs_hook=_Pairs), "", found)
    return list(found)[:DUPLICATES_MAX]


def _countable(raw: bytes) -> bool:
    for mark in _UNCOUNTABLE:  # noqa: SIM110 - a generator would cost as much as the search
        if mark in raw:
            return False
    return True


def _walk(node: Any, path: str, found: dict[str, None]) -> None:
    if isinstance(node, _Pairs):
        seen: set[str] = set()
        for key, child in node:
            where = f"{path}.{key}" if path else key
            if key in seen:
                found[where] = None
            seen.add(key)
            _walk(child, where, found)
    elif isinstance(node, list):
        for index, child in enumerate(node):
            _walk(child, f"{path}[{index}]", found)


def in_document_order(raw: bytes, unknown: Collection[str], doubled: Collection[str]) -> list[str]:
    """What a strict decoder says of unknown and doubled fields, as it comes across them.

    A field that is unknown is said once, and nothing that is below it.
    """
    said: dict[str, None] = {}
    _say(json.loads(raw, object_pairs_hook=_Pairs), "", frozenset(unknown), said)
    wanted = {**dict.fromkeys(map(unknown_field, unknown)), **dict.fromkeys(map(doubled_field, doubled))}
    return [message for message in said if message in wanted]


def unknown_field(path: str) -> str:
    return f'unknown field "{path}"'


def doubled_field(path: str) -> str:
    return f'duplicate field "{path}"'


def _say(node: Any, path: str, unknown: frozenset[str], said: dict[str, None]) -> None:
    if isinstance(node, _Pairs):
        seen: set[str] = set()
        for key, child in node:
            where = f"{path}.{key}" if path else key
            if where in unknown:
                said[unknown_field(where)] = None
                continue
            if key in seen:
                said.setdefault(doubled_field(where))
            seen.add(key)
            _say(child, where, unknown, said)
    elif isinstance(node, list):
        for index, child in enumerate(node):
            _say(child, f"{path}[{index}]", unknown, said)
