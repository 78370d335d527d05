"""Ownership across creates and updates: whoever changes a field has it from then on (``merge.Updater.Update``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from picluster.api.apply import managers
from picluster.api.apply.compare import Changes, compare
from picluster.api.apply.fieldsets import FieldSet, difference, intersection, ordered, union, without_trees
from picluster.api.apply.managers import Claim, Managed, Manager
from picluster.api.apply.types import Type
from picluster.api.types import Object

Versions = Callable[[str, Object], tuple[Type, Object] | None]
"""An object in another ``apiVersion``, and its type there; ``None`` for a version that is not served any more."""


class Change(NamedTuple):
    """A write as the engine sees it. ``ignored`` are the trees that this endpoint does not write (``resetfields``)."""

    type: Type
    version: str
    old: Object
    new: Object
    ignored: FieldSet
    other: Versions


def created(of_type: Type, obj: Object, ignored: FieldSet) -> FieldSet:
    """What the creator of ``obj`` owns, in order."""
    changed = compare(of_type, {}, obj).changed
    return ordered(without_trees(managers.stripped(changed), ignored))


def updated(change: Change, managed: Managed, who: Manager, now: str) -> Managed:
    """``managed`` after ``who`` made ``change``; the same dict when nothing of it changes."""
    changes = changes_of(change)
    if not changes.changed and not changes.removed:
        return managed
    result = taken(change, changes, managed, None)
    fields = managers.stripped(changes.changed)
    if fields:
        left, before = result.get(who), managed.get(who)
        if left is not None:
            fields = union(fields, left.fields)
        if before is not None and fields == before.fields:
            fields = before.fields  # as it is written already, in order
        result[who] = Claim(fields, change.version, now)
    return managers.cap(result)


def changes_of(change: Change) -> Changes:
    return _kept(compare(change.type, change.old, change.new), change.ignored)


def taken(change: Change, changes: Changes, managed: Managed, winner: Manager | None) -> Managed:
    """``managed`` without what others than ``winner`` lose by ``changes``: to the writer, or because it is gone."""
    result: Managed = {}
    by_version: dict[str, Changes | None] = {change.version: changes}
    for who, claim in managed.items():
        lost = versioned(change, by_version, claim.version)
        if lost is None:
            continue
        fields = claim.fields
        if who != winner:
            fields = difference(difference(fields, lost.changed), lost.removed)
        if fields:
            result[who] = claim if fields == claim.fields else claim._replace(fields=fields)
    return result


def conflicts(change: Change, changes: Changes, managed: Managed, winner: Manager) -> dict[Manager, FieldSet]:
    """What others than ``winner`` own of ``changes``."""
    found: dict[Manager, FieldSet] = {}
    by_version: dict[str, Changes | None] = {change.version: changes}
    for who, claim in managed.items():
        lost = None if who == winner else versioned(change, by_version, claim.version)
        if lost is not None and (common := intersection(claim.fields, lost.changed)):
            found[who] = common
    return found


def versioned(change: Change, known: dict[str, Changes | None], version: str) -> Changes | None:
    """The changes in the words of another version; ``None`` if it is not served any more."""
    if version not in known:
        old, new = change.other(version, change.old), change.other(version, change.new)
        known[version] = None if old is None or new is None else _kept(compare(new[0], old[1], new[1]), change.ignored)
    return known[version]


def same_but_for_times(old: Any, new: Any) -> bool:
    """Whether two lists of ``managedFields`` differ in nothing but their times."""
    return len(old) == len(new) and all(
        {**one, "time": None} == {**other, "time": None} for one, other in zip(old, new, strict=True)
    )


def _kept(changes: Changes, ignored: FieldSet) -> Changes:
    return Changes(
        without_trees(managers.stripped(changes.changed), ignored),
        without_trees(managers.stripped(changes.removed), ignored),
    )
