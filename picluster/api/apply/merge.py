"""Merging an applied configuration into the live object, and taking fields out again (``typed.Merge``, ``prune``)."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from picluster.api.apply import elements
from picluster.api.apply.compare import owned
from picluster.api.apply.fieldsets import (
    FieldSet,
    difference,
    intersection,
    is_member,
    union,
    with_named,
)
from picluster.api.apply.types import Type, resolved
from picluster.api.types import Object


def merge(of_type: Type, live: Any, applied: Any) -> Any:
    """``live`` with ``applied`` laid over it; the result shares parts with both."""
    of_type = resolved(of_type, applied)
    if of_type.kind == "scalar" or of_type.atomic:
        return applied
    if of_type.kind == "map":
        return _map(of_type, live, applied)
    return _list(of_type, live, applied)


def prune(of_type: Type, merged: Object, claimed: FieldSet, last: FieldSet) -> Object:
    """``merged`` without what the applier had in ``last`` and nobody has in ``claimed``, the union of all sets, now."""
    if not last:
        return merged
    last = with_named(last, of_type)
    pruned = remove(of_type, merged, last) or {}
    before = with_named(owned(of_type, merged), of_type)
    kept = union(with_named(owned(of_type, pruned), of_type), with_named(claimed, of_type))
    pruned = remove(of_type, merged, difference(before, kept)) or {}
    gone = difference(before, with_named(owned(of_type, pruned), of_type))
    return remove(of_type, merged, intersection(gone, last)) or {}


def remove(of_type: Type, value: Any, unwanted: FieldSet) -> Any:
    """``value`` without the places in ``unwanted``; ``None`` if nothing is left of it."""
    of_type = resolved(of_type, value)
    if of_type.kind == "scalar":
        return value
    if of_type.atomic or not value:
        return None
    if of_type.kind == "map":
        left = {
            name: rest
            for name, child in value.items()
            if (rest := _removed(of_type.child(name), child, unwanted.get("f:" + name))) is not None
        }
        return left or None
    items = [
        rest
        for item in value
        if (rest := _removed(of_type.element, item, unwanted.get(_name(of_type, item)))) is not None
    ]
    return items or None


def _removed(of_type: Type | None, value: Any, unwanted: FieldSet | None) -> Any:
    if unwanted is None or of_type is None:
        return value
    return None if is_member(unwanted) else remove(of_type, value, unwanted)


def _name(list_type: Type, item: Any) -> str:
    try:
        return elements.of_item(list_type, item)
    except elements.BadElement:
        return ""


def _map(of_type: Type, live: Any, applied: Any) -> Any:
    if not isinstance(live, dict) or not live:
        return applied
    if not applied:
        return live
    merged = dict(live)
    for name, value in applied.items():
        child = of_type.child(name)
        merged[name] = merge(child, live[name], value) if name in live and child is not None else value
    return merged


def _list(of_type: Type, live: Any, applied: Any) -> Any:
    if not isinstance(live, list) or not live:
        return applied
    if not applied:
        return live
    ours = [(_name(of_type, item), item) for item in live]
    theirs = elements.index(of_type, applied)
    before = elements.index(of_type, live)
    assert of_type.element is not None
    merged = {
        name: merge(of_type.element, before[name], item) if name in before else item for name, item in theirs.items()
    }
    return _interleaved(ours, merged, before)


def _interleaved(live: list[tuple[str, Any]], merged: dict[str, Any], before: Mapping[str, Any]) -> list[Any]:
    """The applied order for what is applied; what only lives keeps its place relative to what both have."""
    applied = deque(merged)
    shared = deque(name for name in merged if name in before)
    waiting = deque(live)
    result: list[Any] = []
    done: set[str] = set()
    while waiting or applied:
        if waiting:
            name, item = waiting[0]
            if applied and name == applied[0]:
                waiting.popleft()
                _take(applied, shared, merged, done, result)
                continue
            if name not in merged:
                result.append(item)
                waiting.popleft()
                continue
            if name in done or (applied and shared and shared[0] != name):
                waiting.popleft()
                continue
        if applied:
            _take(applied, shared, merged, done, result)
        else:
            waiting.popleft()
    return result


def _take(applied: deque[str], shared: deque[str], merged: dict[str, Any], done: set[str], result: list[Any]) -> None:
    name = applied.popleft()
    if shared and shared[0] == name:
        shared.popleft()
    done.add(name)
    result.append(merged[name])
