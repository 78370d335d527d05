"""Keeps the flow schemas and priority levels that every cluster has: there, and as they have to be.

Two of each are mandatory and always right, but for the shares that ``exempt`` may have. The others are suggestions: the
annotation ``apf.kubernetes.io/autoupdate-spec`` says whether they are put right; where it says nothing, an object
that nobody has changed yet (generation 1) is ours. What carries the annotation and is no longer among them goes.
Sources: ``pkg/registry/flowcontrol/{ensurer,rest}``, which look every minute; here a change is a reason to look too.
"""

from __future__ import annotations

import asyncio
import logging

from picluster.api import errors
from picluster.api.resources import FLOW_SCHEMAS, PRIORITY_LEVEL_CONFIGURATIONS, Resource
from picluster.api.types import Object
from picluster.api.validation.flowcontrol import MANDATORY_FLOW_SCHEMAS, MANDATORY_PRIORITY_LEVELS
from picluster.apiserver.authn import User
from picluster.apiserver.cache.history import Change
from picluster.apiserver.flowcontrol.objects import AUTO_UPDATE, objects
from picluster.apiserver.registry.create import create
from picluster.apiserver.registry.delete import delete_admitted
from picluster.apiserver.registry.options import DeleteOptions
from picluster.apiserver.registry.registry import Registry, Write
from picluster.apiserver.registry.store import decoded
from picluster.apiserver.registry.update import change_object
from picluster.storage.backend import StorageError

log = logging.getLogger(__name__)

INTERVAL_S = 60.0
SETTLE_S = 0.1
"""After a change, so that many at once are one look, and a quarrel with somebody is no busy loop."""
_MANDATORY = {PRIORITY_LEVEL_CONFIGURATIONS: MANDATORY_PRIORITY_LEVELS, FLOW_SCHEMAS: MANDATORY_FLOW_SCHEMAS}
_TRUE, _FALSE = ("1", "t", "T", "true", "TRUE", "True"), ("0", "f", "F", "false", "FALSE", "False")


class BootstrapObjects:
    """``start`` once the cache holds what the store holds, then ``run``."""

    def __init__(self, registry: Registry, user: User) -> None:
        self._registry = registry
        self._user = user
        self._changed = asyncio.Event()

    def start(self) -> None:
        for resource in _MANDATORY:
            self._registry.store.cache.collection(resource).listeners.append(self._on_change)

    async def run(self) -> None:
        """Until cancelled; what fails is tried again at the next look."""
        clock = self._registry.clock
        while True:
            waits = [asyncio.ensure_future(self._changed.wait()), asyncio.ensure_future(clock.sleep(INTERVAL_S))]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()
            await clock.sleep(SETTLE_S)
            self._changed.clear()
            try:
                await ensure_all(self._registry, self._user)
            except (errors.ApiError, StorageError) as error:
                log.warning("flow schemas and priority levels are not put right, and looked at again: %s", error)

    def _on_change(self, change: Change) -> None:
        """A new object takes nothing away; the conditions of a schema are nobody's business here."""
        if change.old is not None:
            self._changed.set()


async def ensure_all(registry: Registry, user: User) -> None:
    """Make what is missing, put right what differs, and take away what is no longer wanted; raises ``ApiError``."""
    wanted = list(objects())
    writes = [(Write(user, resource, "", obj["metadata"]["name"]), obj) for resource, obj in wanted]
    await asyncio.gather(*[_ensure(registry, write, obj) for write, obj in writes])
    await _remove_unwanted(registry, user, {(resource, obj["metadata"]["name"]) for resource, obj in wanted})


def revised(resource: Resource, found: Object, wanted: Object) -> Object | None:
    """``found`` as it has to be, ``None`` if it is that already (``strategy.ReviseIfNeeded``)."""
    metadata, spec = found["metadata"], wanted["spec"]
    annotations = metadata.get("annotations") or {}
    ours = metadata["name"] in _MANDATORY[resource] or _is_ours(metadata)
    if spec.get("type") == "Exempt" and (found.get("spec") or {}).get("exempt"):
        spec = {**spec, "exempt": found["spec"]["exempt"]}
    told = _flag(annotations.get(AUTO_UPDATE)) is ours
    right = not ours or found.get("spec") == spec
    if told and right:
        return None
    noted = {**metadata, "annotations": {**annotations, AUTO_UPDATE: "true" if ours else "false"}}
    return {**found, "metadata": metadata if told else noted, "spec": found["spec"] if right else spec}


async def _ensure(registry: Registry, write: Write, wanted: Object) -> None:
    entry = registry.store.cache.get(write.resource, "", write.name)
    try:
        if entry is None:
            await create(registry, write, wanted, None)
        elif revised(write.resource, decoded(entry), wanted) is not None:
            await change_object(registry, write, lambda old: revised(write.resource, old, wanted) or old)
    except errors.ApiError as error:
        if error.reason not in ("AlreadyExists", "NotFound"):  # who was faster is seen at the next look
            raise


async def _remove_unwanted(registry: Registry, user: User, wanted: set[tuple[Resource, str]]) -> None:
    for resource in _MANDATORY:
        for entry in list(registry.store.cache.collection(resource).entries.values()):
            if (resource, entry.name) in wanted:
                continue
            metadata = decoded(entry)["metadata"]
            if _flag((metadata.get("annotations") or {}).get(AUTO_UPDATE)) is True:
                write = Write(user, resource, "", entry.name)
                options = DeleteOptions(resource_version=metadata["resourceVersion"])
                try:
                    await delete_admitted(registry, write, options)
                except errors.ApiError as error:
                    if error.reason not in ("NotFound", "Conflict"):
                        raise


def _is_ours(metadata: Object) -> bool:
    said = _flag((metadata.get("annotations") or {}).get(AUTO_UPDATE))
    return metadata.get("generation") == 1 if said is None else said


def _flag(text: str | None) -> bool | None:
    """What ``strconv.ParseBool`` makes of an annotation."""
    return True if text in _TRUE else False if text in _FALSE else None
