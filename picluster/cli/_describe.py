"""One object as an indented page, as ``kubectl describe`` shows kinds that it has no page for. PURE."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from picluster.api.types import Object

HIDDEN = ("managedFields",)
SECRET_KINDS = ("Secret",)
WIDTH_MIN = 14


def page(obj: Object) -> str:
    """``obj`` without its events; a Secret's values are shown as their sizes only."""
    metadata = obj["metadata"]
    lines = list(_pairs([("Name", metadata["name"])]))
    if metadata.get("namespace"):
        lines += _pairs([("Namespace", metadata["namespace"])])
    lines += _map("Labels", metadata.get("labels") or {}, "=")
    shown = {
        k: v for k, v in (metadata.get("annotations") or {}).items() if not k.endswith("last-applied-configuration")
    }
    lines += _map("Annotations", shown, ": ")
    lines += _pairs([("API Version", obj.get("apiVersion", "")), ("Kind", obj.get("kind", ""))])
    lines += _pairs([("Created", metadata.get("creationTimestamp", ""))])
    for key, value in obj.items():
        if key not in ("metadata", "apiVersion", "kind"):
            lines += _value(key, _sizes(value) if obj.get("kind") in SECRET_KINDS and key == "data" else value, 0)
    return "\n".join(lines)


def _sizes(data: dict[str, str]) -> dict[str, str]:
    return {key: f"{len(value) * 3 // 4 - value[-2:].count('=')} bytes" for key, value in data.items()}


def _pairs(pairs: list[tuple[str, str]]) -> Iterator[str]:
    for key, value in pairs:
        yield f"{key + ':':<{WIDTH_MIN}} {value}".rstrip()


def _map(title: str, entries: dict[str, str], between: str) -> Iterator[str]:
    texts = [f"{key}{between}{value}" for key, value in sorted(entries.items())] or ["<none>"]
    for i, text in enumerate(texts):
        yield f"{title + ':' if i == 0 else '':<{WIDTH_MIN}} {text}"


def _value(key: str, value: Any, depth: int) -> Iterator[str]:
    indent = "  " * depth
    title = title_of(key)
    if isinstance(value, dict):
        yield f"{indent}{title}:"
        for inner_key, inner in value.items():
            if inner_key not in HIDDEN:
                yield from _value(inner_key, inner, depth + 1)
    elif isinstance(value, list):
        yield f"{indent}{title}:"
        for item in value:
            yield from _item(item, depth + 1)
    else:
        yield f"{indent}{title}:  {_scalar(value)}"


def _item(item: Any, depth: int) -> Iterator[str]:
    if not isinstance(item, dict):
        yield f"{'  ' * depth}{_scalar(item)}"
        return
    for i, (key, value) in enumerate(item.items()):
        lines = list(_value(key, value, depth + 1))
        if i == 0:
            lines[0] = "  " * depth + "- " + lines[0].lstrip()
        yield from lines


def _scalar(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def title_of(key: str) -> str:
    """``readyReplicas`` as ``Ready Replicas``; keys that are data (``app.kubernetes.io/name``) stay as they are."""
    if not re.fullmatch(r"[a-z][A-Za-z0-9]*", key):
        return key
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", key)
    return words[0].upper() + words[1:]
