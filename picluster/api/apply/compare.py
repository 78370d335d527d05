"""What a write changed, and what a configuration claims (``typed.Compare`` and ``typed.ToFieldSet``)."""

from __future__ import annotations

from typing import Any, NamedTuple

from picluster.api.apply import elements
from picluster.api.apply.fieldsets import MEMBER, FieldSet, node
from picluster.api.apply.types import Type, resolved
from picluster.api.types import Object


class Changes(NamedTuple):
    """``changed`` are the fields that are new or have another value."""

    changed: FieldSet
    removed: FieldSet


_ABSENT: Any = object()
_PLAIN = frozenset({str, int, float, bool, type(None)})
"""What has nothing below it, whatever its schema says; most of what is looked at."""
_EMPTY: dict[str, Any] = {"map": {}, "list": []}
_Pair = tuple[FieldSet | None, FieldSet | None]


def compare(of_type: Type, old: Object, new: Object) -> Changes:
    changed: FieldSet = {}
    removed: FieldSet = {}
    _map(of_type, old, new, changed, removed)
    return Changes(changed, removed)


def owned(of_type: Type, value: Object) -> FieldSet:
    """The set of fields that an applied configuration consists of."""
    return _owned_below(resolved(of_type, value), value)


def _value(of_type: Type | None, old: Any, new: Any) -> _Pair:
    """What is ``(changed, removed)`` at one place: nodes of the two sets."""
    if of_type is None or old == new:
        return None, None
    if new is _ABSENT:
        return None, _everything(of_type, old)
    if old is _ABSENT:
        return _everything(of_type, new), None
    was, now = resolved(of_type, old), resolved(of_type, new)
    if was is not now:
        return _everything(now, new), node(False, _below(_everything(was, old)))
    if now.atomic or now.kind == "scalar" or not (old or new):
        return MEMBER, None
    below_changed: FieldSet = {}
    below_removed: FieldSet = {}
    if now.kind == "map":
        _map(now, _dict(old), _dict(new), below_changed, below_removed)
    else:
        _items(now, _list(old), _list(new), below_changed, below_removed)
    return node(False, below_changed), node(False, below_removed)


def _map(of_type: Type, old: Object, new: Object, changed: FieldSet, removed: FieldSet) -> None:
    present = of_type.present
    for name, value in new.items():
        before = old.get(name, _ABSENT)
        if before == value:
            continue
        child = of_type.child(name)
        if before is _ABSENT and name in present and child is not None:
            before = _EMPTY[child.kind]
        _note("f:" + name, _value(child, before, value), changed, removed)
    for name, value in old.items():
        if name not in new:
            child = of_type.child(name)
            after = _EMPTY[child.kind] if name in present and child is not None else _ABSENT
            _note("f:" + name, _value(child, value, after), changed, removed)


def _items(of_type: Type, old: list[Any], new: list[Any], changed: FieldSet, removed: FieldSet) -> None:
    was, now = elements.index(of_type, old), elements.index(of_type, new)
    for name, item in now.items():
        _note(name, _value(of_type.element, was.get(name, _ABSENT), item), changed, removed)
    for name, item in was.items():
        if name not in now:
            _note(name, _value(of_type.element, item, _ABSENT), changed, removed)


def _note(element: str, pair: _Pair, changed: FieldSet, removed: FieldSet) -> None:
    if pair[0] is not None:
        changed[element] = pair[0]
    if pair[1] is not None:
        removed[element] = pair[1]


def _everything(of_type: Type, value: Any) -> FieldSet:
    """The node of a whole subtree that came or went: containers count as well as what is in them."""
    if not value or value.__class__ in _PLAIN or of_type.atomic or of_type.kind == "scalar":
        return MEMBER
    of_type = resolved(of_type, value)
    if of_type.atomic or of_type.kind == "scalar":
        return MEMBER
    below: FieldSet = {elements.SELF: MEMBER}
    if of_type.kind == "map":
        fields, element = of_type.fields, of_type.element
        for name, child in _dict(value).items():
            if (child_type := fields.get(name) or element) is not None:
                plain = child.__class__ in _PLAIN
                below["f:" + name] = MEMBER if plain else _everything(child_type, child)
    elif of_type.element is not None:
        for name, item in elements.index(of_type, _list(value)).items():
            below[name] = _everything(of_type.element, item)
    return below


def _below(found: FieldSet) -> FieldSet:
    return {element: deeper for element, deeper in found.items() if element != elements.SELF}


def _owned(of_type: Type, value: Any) -> tuple[bool, FieldSet]:
    """Whether the place itself is claimed, and what is below it."""
    of_type = resolved(of_type, value)
    if of_type.atomic or of_type.kind == "scalar":
        return True, MEMBER
    return False, _owned_below(of_type, value)


def _owned_below(of_type: Type, value: Any) -> FieldSet:
    below: FieldSet = {}
    if of_type.kind == "map":
        declared = of_type.fields
        for name, child in _dict(value).items():
            if (child_type := of_type.child(name)) is None:
                continue
            member, deeper = _owned(child_type, child)
            member = member or child is None or child == {} or name not in declared
            if (found := node(member, deeper)) is not None:
                below["f:" + name] = found
    elif of_type.element is not None:
        for name, item in elements.index(of_type, _list(value)).items():
            _, deeper = _owned(of_type.element, item)
            found = node(True, deeper)
            assert found is not None
            below[name] = found
    return below


def _dict(value: Any) -> Object:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
