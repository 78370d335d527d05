"""Server-side apply of a Scale: whoever owns the replicas of the object owns those of its Scale (``ScaleHandler``)."""

from __future__ import annotations

from picluster.api import errors, meta
from picluster.api.apply import managers, resetfields, types
from picluster.api.apply.applying import Applied, Rejected, Request, apply
from picluster.api.apply.conflicts import Conflicts
from picluster.api.apply.fieldsets import FieldSet, difference, intersection
from picluster.api.apply.managers import APPLY, UPDATE, Managed, Manager
from picluster.api.resources import SCALE
from picluster.api.types import Object
from picluster.apiserver.registry import ownership
from picluster.apiserver.registry.registry import Registry, Write

REPLICAS: FieldSet = {"f:spec": {"f:replicas": {}}}
"""Where a Scale has them."""


def applied(
    registry: Registry, write: Write, old: Object, config: Object, *, force: bool
) -> tuple[Object, list[Object]]:
    """The Scale that ``config`` makes of the object ``old``, and the ``managedFields`` of the object then."""
    kind, parents = registry.kind(write.resource), managers.decode(old["metadata"].get("managedFields"))
    replicas = _at(kind.replicas_path())
    owners = {
        _in_scale(who): claim._replace(fields=REPLICAS, version=SCALE.api_version)
        for who, claim in parents.items()
        if intersection(claim.fields, replicas)
    }
    who, now = ownership.manager_of(write, APPLY), meta.now_rfc3339(registry.clock.now())
    result = _apply(registry.kind(write.resource).get_scale(old), config, owners, who, now, force=force)
    kept: Managed = {}
    for parent, claim in parents.items():
        fields = claim.fields if _in_scale(parent) in result.managed else difference(claim.fields, replicas)
        if fields:
            kept[parent] = claim._replace(fields=fields)
    if who in result.managed and who not in kept:
        kept[who] = managers.Claim(replicas, write.resource.api_version, now)
    return result.obj, managers.encode(kept)


def _apply(scale: Object, config: Object, owners: Managed, who: Manager, now: str, *, force: bool) -> Applied:
    of_type = types.builtin(SCALE.schema)
    request = Request(of_type, SCALE.api_version, config, scale, resetfields.STATUS, lambda *_: None, force)
    try:
        return apply(request, owners, who, now)
    except Rejected as error:
        raise errors.ApiError(500, "", f"failed to create typed patch object: {error}") from None
    except Conflicts as conflicts:
        raise conflicts.error() from None


def _in_scale(who: Manager) -> Manager:
    return who._replace(version=SCALE.api_version) if who.operation == UPDATE else who


def _at(path: tuple[str, ...]) -> FieldSet:
    found: FieldSet = {}
    for name in reversed(path):
        found = {f"f:{name}": found}
    return found
