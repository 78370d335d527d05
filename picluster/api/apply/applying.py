"""The verb: what an applied configuration makes of an object (``merge.Updater.Apply``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import orjson

from picluster.api.apply import managers, reconcile
from picluster.api.apply.check import mistakes, summary
from picluster.api.apply.compare import compare, owned
from picluster.api.apply.conflicts import Conflicts
from picluster.api.apply.fieldsets import FieldSet, difference, without_trees
from picluster.api.apply.managers import Claim, Managed, Manager
from picluster.api.apply.merge import merge, prune
from picluster.api.apply.tracking import Change, Versions, changes_of, conflicts, taken
from picluster.api.apply.types import Type
from picluster.api.types import Object

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
KUBECTL = "kubectl"


class Rejected(ValueError):
    """The configuration does not fit the schema."""


class Request(NamedTuple):
    """``config`` is the applied configuration, ``old`` the live object (empty metadata for one that is not there)."""

    type: Type
    version: str
    config: Object
    old: Object
    ignored: FieldSet
    other: Versions
    force: bool = False


class Applied(NamedTuple):
    obj: Object
    managed: Managed


Default = Callable[[Object], Object]


def apply(request: Request, managed: Managed, who: Manager, now: str) -> Applied:
    """The new object and its managers; raises ``Rejected``, or ``Conflicts``."""
    found = mistakes(request.type, request.config)
    if found:
        raise Rejected(summary(found))
    try:
        applied = _merged(request, managed, who, now)
    except Conflicts as refusal:
        if who.name != KUBECTL or not _only_last_applied(request, refusal):
            raise
        applied = _merged(request._replace(force=True), managed, who, now)
    if who.name == KUBECTL and _annotation(applied.obj):
        return applied._replace(obj=_with_last_applied(applied.obj, request.config))
    return applied


def _merged(request: Request, managed: Managed, who: Manager, now: str) -> Applied:
    of_type, old = request.type, request.old
    managed = reconcile.managed(of_type, request.version, managed)
    merged: Object = merge(of_type, old, request.config)
    last = managed.get(who)
    fields = without_trees(owned(of_type, request.config), request.ignored)
    managed = {**managed, who: Claim(fields, request.version, last.time if last is not None else "")}
    if last is not None and last.version == request.version:
        merged = prune(of_type, merged, managers.claimed(managed), last.fields)
    change = Change(of_type, request.version, old, merged, request.ignored, request.other)
    changes = changes_of(change)
    if not request.force and (lost := conflicts(change, changes, managed, who)):
        raise Conflicts(lost)
    managed = taken(change, changes, managed, who)
    if who in managed and (fields := managers.stripped(managed[who].fields)):
        changed = bool(changes.changed or changes.removed) or last is None or last.fields != fields
        managed[who] = Claim(fields, request.version, now if changed or last is None else last.time)
    else:
        managed.pop(who, None)
    return Applied(merged, managed)


def _only_last_applied(request: Request, refusal: Conflicts) -> bool:
    """Whether all that is in conflict came from ``kubectl apply`` without ``--server-side``, and may be taken over."""
    allowed = _from_last_applied(request)
    if allowed is None:
        return False
    left = {who: rest for who, fields in refusal.fields.items() if (rest := difference(fields, allowed))}
    if not left:
        return True
    refusal.fields = left
    return False


def _from_last_applied(request: Request) -> FieldSet | None:
    text = _annotation(request.old)
    try:
        last = orjson.loads(text) if text else None
    except orjson.JSONDecodeError:
        return None
    if not isinstance(last, dict) or last.get("apiVersion") != request.version or mistakes(request.type, last):
        return None
    changes = compare(request.type, last, request.old)
    return difference(difference(owned(request.type, last), changes.changed), changes.removed)


def _annotation(obj: Object) -> str:
    return str((obj.get("metadata", {}).get("annotations") or {}).get(LAST_APPLIED) or "")


def _with_last_applied(obj: Object, config: Object) -> Object:
    """``obj`` with the annotation that ``kubectl apply`` without ``--server-side`` would have left."""
    metadata = dict(config.get("metadata") or {})
    annotations = {name: value for name, value in (metadata.get("annotations") or {}).items() if name != LAST_APPLIED}
    if "annotations" in metadata:
        metadata["annotations"] = annotations
    text = orjson.dumps({**config, "metadata": metadata}, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)
    annotations = {**obj["metadata"]["annotations"], LAST_APPLIED: text.decode()}
    return {**obj, "metadata": {**obj["metadata"], "annotations": annotations}}
