"""deployments/<name>/scale and replicasets/<name>/scale: the replicas of an object, and nothing else of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from picluster.api import errors, validation
from picluster.api import patch as patches
from picluster.api.resources import SCALE
from picluster.api.types import Object
from picluster.apiserver.admission.chain import UPDATE
from picluster.apiserver.answers import Answer
from picluster.apiserver.cache.index import Entry
from picluster.apiserver.registry import applyscale, ownership
from picluster.apiserver.registry.registry import Registry, Write, read_part
from picluster.apiserver.registry.store import WRITE_ATTEMPTS_MAX, decoded
from picluster.apiserver.registry.update import check_identity, check_version, finish_admitted
from picluster.storage.backend import RevisionMismatch

GROUP, KIND = "autoscaling", "Scale"

Change = Callable[[Object], tuple[Object, list[Object] | None]]
"""Gets the whole object; gives the Scale as it shall be and, where that is decided already, the object's owners."""


async def get_scale(registry: Registry, write: Write) -> Answer:
    entry = registry.store.get(write.resource, write.namespace, write.name)
    return await _shown(registry, write, decoded(entry))


async def update_scale(registry: Registry, write: Write, scale: Any) -> Answer:
    """PUT: ``scale`` is a whole ``autoscaling/v1`` Scale; raises ``ApiError``."""
    return await _scaled(registry, write, lambda old: (scale, None))


async def patch_scale(registry: Registry, write: Write, content_type: str, document: Any) -> Answer:
    """PATCH of the Scale that a GET shows; it has no lists, so that a strategic merge is a merge."""
    kind = patches.MERGE if content_type == patches.STRATEGIC else content_type

    def change(old: Object) -> tuple[Object, None]:
        return patches.apply(kind, write.resource, registry.kind(write.resource).get_scale(old), document), None

    return await _scaled(registry, write, change)


async def apply_scale(registry: Registry, write: Write, config: Any, *, force: bool) -> Answer:
    """Server-side apply of an ``autoscaling/v1`` Scale."""
    if not isinstance(config, dict) or (config.get("apiVersion"), config.get("kind")) != (f"{GROUP}/v1", KIND):
        raise errors.bad_request("invalid object type: the configuration must be an autoscaling/v1 Scale")

    def change(old: Object) -> tuple[Object, list[Object]]:
        return applyscale.applied(registry, write, old, config, force=force)

    return await _scaled(registry, write, change)


async def _scaled(registry: Registry, write: Write, change: Change) -> Answer:
    for _ in range(WRITE_ATTEMPTS_MAX):
        entry = registry.store.get(write.resource, write.namespace, write.name)
        old = await registry.kind(write.resource).read(decoded(entry))
        try:
            return await _shown(registry, write, orjson.loads(await _apply(registry, write, entry, old, change)))
        except RevisionMismatch:
            continue
    raise errors.conflict(write.resource.group, write.resource.plural, write.name)


async def _apply(registry: Registry, write: Write, entry: Entry, old: Object, change: Change) -> bytes:
    """Admission sees the Scales, old and new, as ``ScaleREST`` has it; what is written is the whole object."""
    kind = registry.kind(write.resource)
    scale, owners = change(old)
    _check(write, scale)
    attributes = write.attributes(UPDATE, scale, kind.get_scale(old))
    await registry.admission.admit(attributes)
    _check(write, scale)
    new = kind.apply_scale(old, scale)
    given = scale.get("metadata") or {}
    for field in ("uid", "resourceVersion"):
        new["metadata"][field] = given.get(field) or old["metadata"][field]
    check_version(write, new, old)
    if owners is None:
        ownership.updated(registry, write, old, new)
    else:
        new["metadata"]["managedFields"] = owners
    named = (write.user, write.resource, write.namespace, write.name)
    whole = Write(*named, dry_run=write.dry_run, warnings=write.warnings)
    return await finish_admitted(registry, whole, entry, old, new, attributes)


def _check(write: Write, scale: Any) -> None:
    if not isinstance(scale, dict) or scale.setdefault("kind", KIND) != KIND:
        raise errors.bad_request("the body must be an autoscaling/v1 Scale")
    scale.setdefault("apiVersion", f"{GROUP}/v1")
    read_part(write, SCALE, scale)
    check_identity(write, scale)
    failures = validation.scale(scale)
    if failures:
        raise errors.invalid(GROUP, KIND, write.name, failures)


async def _shown(registry: Registry, write: Write, stored: Object) -> Answer:
    kind = registry.kind(write.resource)
    return Answer(200, orjson.dumps(kind.get_scale(await kind.read(stored))), is_object=False)
