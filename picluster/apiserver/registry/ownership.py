"""``metadata.managedFields`` of what the verbs write: who owns which fields of it."""

from __future__ import annotations

from typing import Any

from picluster.api import meta
from picluster.api.apply import managers, tracking
from picluster.api.apply.managers import UPDATE, Managed, Manager
from picluster.api.apply.tracking import Change, Versions
from picluster.api.types import Object
from picluster.apiserver.registry.kinds import Kind
from picluster.apiserver.registry.registry import Registry, Write

RESET: list[Object] = [{}]
"""What a client sends to have an object's owners forgotten."""
UNREADABLE = (
    ".metadata.managedFields was in an invalid state after admission; this could be caused by an outdated mutating"
    " admission controller; please fix your requests"
)


def created(registry: Registry, write: Write, obj: Object) -> None:
    """Make the writer of ``obj`` the owner of its fields."""
    metadata = obj["metadata"]
    sent = metadata.pop("managedFields", None)
    who = manager_of(write)
    managed = _sent(sent) if sent else {}
    if managed:
        change = _change(registry, write, {"metadata": {}}, obj)
        metadata["managedFields"] = managers.encode(tracking.updated(change, managed, who, _now(registry)))
        return
    kind = registry.kind(write.resource)
    of_type, ignored = kind.type(), kind.ignored("")
    fields = registry.shapes.fields(write.resource, obj, lambda part: tracking.created(of_type, part, ignored))
    if fields:
        metadata["managedFields"] = [managers.entry(who, write.resource.api_version, _now(registry), fields)]


def updated(registry: Registry, write: Write, old: Object, new: Object) -> None:
    """Give ``new``, a copy of its ``metadata`` included, the owners it has after this write."""
    metadata = new["metadata"] = dict(new["metadata"])
    sent, live = metadata.pop("managedFields", None), old["metadata"].get("managedFields")
    if write.subresource or not sent or sent == live:
        sent = None
    elif sent == RESET:
        return
    before = (_sent(sent) if sent else {}) or _decoded(live)
    if not before:
        return
    after = tracking.updated(_change(registry, write, old, new), before, manager_of(write), _now(registry))
    if after is before and sent is None:
        metadata["managedFields"] = live
    elif after:
        known = {} if sent or len(before) != len(live) else dict(zip(before, live, strict=True))
        metadata["managedFields"] = managers.encode(after, before, known)


def settle_admitted(write: Write, obj: Object, before: Any) -> None:
    """Bring back the owners from ``before`` admission, if it left some that nobody can read, and say so.

    Source: ``NewManagedFieldsValidatingAdmissionController``.
    """
    after = (obj.get("metadata") or {}).get("managedFields")
    if after is before or after == before:
        return
    try:
        managers.decode_sent(after)
    except ValueError as error:
        obj["metadata"]["managedFields"] = before
        if before is None:
            del obj["metadata"]["managedFields"]
        write.warnings.append(f"{UNREADABLE}: {error}")


def settle_times(old: Object, new: Object) -> None:
    """Take the times of ``old`` where nothing but them would change (``IgnoreManagedFieldsTimestampsTransformer``)."""
    was, now = old["metadata"].get("managedFields"), new["metadata"].get("managedFields")
    if was is now or was is None or now is None or not tracking.same_but_for_times(was, now):
        return
    if was != now and _unowned(old) == _unowned(new):
        new["metadata"]["managedFields"] = was


def manager_of(write: Write, operation: str = UPDATE) -> Manager:
    return managers.manager(write.manager, operation, write.resource.api_version, write.subresource)


def versions_of(kind: Kind) -> Versions:
    """Objects as managers that write other versions know them."""
    return lambda version, obj: kind.in_version(obj, version)


def _change(registry: Registry, write: Write, old: Object, new: Object) -> Change:
    kind = registry.kind(write.resource)
    ignored = kind.ignored(write.subresource)
    return Change(kind.type(), write.resource.api_version, old, new, ignored, versions_of(kind))


def _decoded(entries: Any) -> Managed:
    """Nobody, when the entries cannot be read."""
    try:
        return managers.decode(entries)
    except ValueError:
        return {}


def _sent(entries: Any) -> Managed:
    try:
        return managers.decode_sent(entries)
    except ValueError:
        return {}


def _unowned(obj: Object) -> Object:
    metadata = {key: value for key, value in obj["metadata"].items() if key not in ("managedFields", "resourceVersion")}
    return {**obj, "metadata": metadata}


def _now(registry: Registry) -> str:
    return meta.now_rfc3339(registry.clock.now())
