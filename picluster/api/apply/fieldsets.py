"""The algebra of sets of fields, on the form that ``FieldsV1`` has.

A set is a dict from elements to nodes. A node is empty when just its own place is a member; otherwise it is the set of
the members below, with ``.`` in it if the place itself is one too. Every function leaves its arguments alone, and its
result may share parts with them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from picluster.api.apply.elements import SELF, canonical, shown
from picluster.api.apply.types import Type

FieldSet = dict[str, Any]

MEMBER: FieldSet = {}
_ITSELF: FieldSet = {SELF: MEMBER}


def node(member: bool, below: FieldSet) -> FieldSet | None:
    """The node of a place; ``None`` when nothing of it is in the set."""
    if not below:
        return MEMBER if member else None
    return {SELF: MEMBER, **below} if member else below


def is_member(found: FieldSet) -> bool:
    return not found or SELF in found


def union(one: FieldSet, other: FieldSet) -> FieldSet:
    if not one or not other or one is other:
        return one or other
    result = dict(one)
    for element, theirs in other.items():
        ours = result.get(element)
        result[element] = theirs if ours is None else _both(ours, theirs)
    return result


def difference(one: FieldSet, other: FieldSet) -> FieldSet:
    """What is in ``one`` and not in ``other``; a member of ``other`` takes nothing from what is below it."""
    if not one or not other:
        return one
    result: FieldSet = {}
    for element, ours in one.items():
        theirs = other.get(element)
        if theirs is None:
            result[element] = ours
        elif element != SELF and (rest := _collapsed(difference(ours or _ITSELF, theirs or _ITSELF))) is not None:
            result[element] = rest
    return result


def intersection(one: FieldSet, other: FieldSet) -> FieldSet:
    result: FieldSet = {}
    for element, ours in one.items():
        theirs = other.get(element)
        if theirs is None:
            continue
        if element == SELF:
            result[element] = MEMBER
        elif (common := _collapsed(intersection(ours or _ITSELF, theirs or _ITSELF))) is not None:
            result[element] = common
    return result


def without_trees(one: FieldSet, roots: FieldSet) -> FieldSet:
    """``one`` without the members of ``roots`` and everything below them (``RecursiveDifference``)."""
    if not one or not roots:
        return one
    result: FieldSet = {}
    for element, ours in one.items():
        theirs = roots.get(element)
        if theirs is None:
            result[element] = ours
        elif not is_member(theirs) and (rest := _collapsed(without_trees(ours or _ITSELF, theirs))) is not None:
            result[element] = rest
    return result


def with_named(one: FieldSet, of_type: Type | None) -> FieldSet:
    """``one`` with the declared fields on the way to its members as members (``EnsureNamedFieldsAreMembers``)."""
    result: FieldSet = {}
    for element, found in one.items():
        if not found:
            result[element] = found
            continue
        name = element[2:] if element.startswith("f:") else ""
        below = of_type.child(name) if name and of_type is not None else of_type.element if of_type else None
        deeper = with_named(found, below)
        if name and of_type is not None and name in of_type.fields and SELF not in deeper:
            deeper = {SELF: MEMBER, **deeper}
        result[element] = deeper
    return result


def paths(one: FieldSet, prefix: str = "") -> Iterator[str]:
    """The members as messages show them, in order."""
    for element in sorted(one):
        if element == SELF:
            continue
        found, path = one[element], prefix + shown(element)
        if is_member(found):
            yield path
        yield from paths(found, path)


def ordered(one: FieldSet) -> FieldSet:
    """The set with its elements in the order in which they are written."""
    return {element: ordered(one[element]) if one[element] else MEMBER for element in sorted(one)}


def read(fields: Any) -> FieldSet:
    """A ``fieldsV1`` that a client sent; raises ``ValueError`` when it is none."""
    if not isinstance(fields, dict):
        raise ValueError("fieldsV1 is not an object")
    result: FieldSet = {}
    for element, below in fields.items():
        if element != SELF and element[:2] not in ("f:", "k:", "v:", "i:"):
            raise ValueError(f"invalid path element {element!r}")
        result[canonical(element)] = read(below)
    return result


def _both(ours: FieldSet, theirs: FieldSet) -> FieldSet:
    if ours is theirs or ours == theirs:
        return ours
    return union(ours or _ITSELF, theirs or _ITSELF)


def _collapsed(below: FieldSet) -> FieldSet | None:
    """``below`` as a node: nothing, just the place itself, or more."""
    if not below:
        return None
    return MEMBER if len(below) == 1 and SELF in below else below
