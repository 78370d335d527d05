"""The end of a definition: its objects go first, then the finalizer that holds it (``controller/finalizer``)."""

from __future__ import annotations

import asyncio

from picluster.api import errors, meta
from picluster.api.resources import CUSTOM_RESOURCE_DEFINITIONS as DEFINITIONS
from picluster.api.strategy.customresourcedefinition import CLEANUP_FINALIZER
from picluster.api.types import Object
from picluster.apiserver.bootstrap import SELF
from picluster.apiserver.cache.index import Entry
from picluster.apiserver.cache.watchcache import WatchCache
from picluster.apiserver.crd.conditions import terminating
from picluster.apiserver.crd.definition import Definition
from picluster.apiserver.registry.delete import DELETED_AT_ONCE_MAX, delete_admitted
from picluster.apiserver.registry.options import DeleteOptions
from picluster.apiserver.registry.registry import Registry, Write
from picluster.apiserver.registry.update import change_object

IN_PROGRESS = terminating("InstanceDeletionInProgress", "CustomResource deletion is in progress")
COMPLETED = terminating("InstanceDeletionCompleted", "removed all instances", done=True)
NEVER = terminating("NeverEstablished", "resource was never established", done=True)


class Remaining(Exception):
    """Objects whose own finalizers hold them."""


async def clean_up(registry: Registry, cache: WatchCache, definition: Definition) -> None:
    """Delete the objects of a definition on its way out, and let it go when none is left; raises ``Remaining``."""
    if CLEANUP_FINALIZER not in (definition.obj["metadata"].get("finalizers") or ()):
        return
    if definition.established:
        await _note(registry, definition, IN_PROGRESS)
        await _delete_all(registry, cache, definition)
    await _note(registry, definition, COMPLETED if definition.established else NEVER)
    await change_object(registry, Write(SELF, DEFINITIONS, "", definition.name), _released)


async def _delete_all(registry: Registry, cache: WatchCache, definition: Definition) -> None:
    resource = definition.row(definition.storage)
    entries = cache.collection(resource).entries
    found = list(entries.values())
    for start in range(0, len(found), DELETED_AT_ONCE_MAX):
        some = found[start : start + DELETED_AT_ONCE_MAX]
        await asyncio.gather(*[_delete(registry, definition, entry) for entry in some])
    if entries:
        raise Remaining(f"{len(entries)} objects have finalizers")


async def _delete(registry: Registry, definition: Definition, entry: Entry) -> None:
    write = Write(SELF, definition.row(definition.storage), entry.namespace, entry.name)
    try:
        await delete_admitted(registry, write, DeleteOptions())
    except errors.ApiError as error:
        if error.reason != "NotFound":
            raise


async def _note(registry: Registry, definition: Definition, condition: Object) -> None:
    held = meta.get_condition(definition.obj, condition["type"]) or {}
    if all(held.get(field) == value for field, value in condition.items()):
        return

    def change(old: Object) -> Object:
        status = dict(old.get("status") or {})
        status["conditions"] = [dict(one) for one in status.get("conditions") or ()]
        meta.set_condition(status["conditions"], condition, meta.now_rfc3339(registry.clock.now()))
        return {**old, "status": status}

    await change_object(registry, Write(SELF, DEFINITIONS, "", definition.name, subresource="status"), change)


def _released(old: Object) -> Object:
    left = [one for one in old["metadata"].get("finalizers") or () if one != CLEANUP_FINALIZER]
    return {**old, "metadata": {**old["metadata"], "finalizers": left}}
