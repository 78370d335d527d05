"""PATCH of ``application/apply-patch+yaml``: server-side apply, of what is there or is not there yet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from picluster.api import errors, meta
from picluster.api.apply import managers, tracking
from picluster.api.apply.applying import Rejected, Request, apply
from picluster.api.apply.conflicts import Conflicts
from picluster.api.apply.managers import APPLY, UPDATE, Managed, manager
from picluster.api.types import Object
from picluster.apiserver.answers import Answer
from picluster.apiserver.registry import ownership
from picluster.apiserver.registry.create import create_owned
from picluster.apiserver.registry.registry import Registry, Write
from picluster.apiserver.registry.store import WRITE_ATTEMPTS_MAX
from picluster.apiserver.registry.update import MayCreate, change_object, check_identity


async def apply_object(registry: Registry, write: Write, config: Any, *, force: bool, may_create: MayCreate) -> Answer:
    """Apply the decoded ``config``; raises ``ApiError``. The answer is 201 if that made the object."""
    _check(write, config)
    for _ in range(WRITE_ATTEMPTS_MAX):
        if registry.store.cache.get(write.resource, write.namespace, write.name) is not None:
            return Answer(
                200, await change_object(registry, write, _change(registry, write, config, force), owned=True)
            )
        if write.subresource:
            raise errors.not_found(write.resource.group, write.resource.plural, write.name)
        may_create()
        try:
            return await create_owned(registry, write, _first(registry, write, config))
        except errors.ApiError as error:
            if error.reason != "AlreadyExists":
                raise
    raise errors.conflict(write.resource.group, write.resource.plural, write.name)


def _change(registry: Registry, write: Write, config: Object, force: bool) -> Callable[[Object], Object]:
    def change(old: Object) -> Object:
        return _applied(registry, write, config, old, force)

    return change


def _first(registry: Registry, write: Write, config: Object) -> Object:
    new = _applied(registry, write, config, {"metadata": {}}, force=False)
    if uid := new["metadata"].get("uid"):
        why = f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
        raise errors.conflict(write.resource.group, write.resource.plural, write.name, why)
    return new


def _applied(registry: Registry, write: Write, config: Object, old: Object, force: bool) -> Object:
    """The whole new object, its owners included; ``old`` stays as it is."""
    kind, now = registry.kind(write.resource), meta.now_rfc3339(registry.clock.now())
    managed = _managed(registry, write, old, now)
    live = {**old, "metadata": {name: value for name, value in old["metadata"].items() if name != "managedFields"}}
    who, version = ownership.manager_of(write, APPLY), write.resource.api_version
    ignored, versions = kind.ignored(write.subresource), ownership.versions_of(kind)
    request = Request(kind.type(), version, config, live, ignored, versions, force)
    try:
        applied = apply(request, managed, who, now)
    except Rejected as error:
        raise errors.ApiError(500, "", f"failed to create typed patch object ({_named(config)}): {error}") from None
    except Conflicts as conflicts:
        raise conflicts.error() from None
    new: Object = orjson.loads(orjson.dumps(applied.obj))  # it shares parts with both; what follows changes it in place
    kind.identify(new)
    kind.conform(new)
    check_identity(write, new)
    kind.default(new)
    if applied.managed:
        new["metadata"]["managedFields"] = managers.encode(applied.managed)
    return new


def _managed(registry: Registry, write: Write, old: Object, now: str) -> Managed:
    """The owners so far; what was there before anybody was asked belongs to ``before-first-apply``."""
    try:
        managed = managers.decode(old["metadata"].get("managedFields"))
    except ValueError as error:
        raise errors.ApiError(500, "", f"failed to decode managed fields: {error}") from None
    if managed or not old["metadata"].get("uid"):
        return managed
    kind, version = registry.kind(write.resource), write.resource.api_version
    fields = tracking.created(kind.type(), old, kind.ignored(write.subresource))
    first = manager(managers.BEFORE_FIRST_APPLY, UPDATE, version, write.subresource)
    return {first: managers.Claim(fields, version, now)} if fields else {}


def _check(write: Write, config: Any) -> None:
    if not isinstance(config, dict):
        raise errors.bad_request("error decoding YAML: the configuration is not an object")
    resource = write.resource
    if (config.get("apiVersion"), config.get("kind")) != (resource.api_version, resource.kind):
        raise errors.bad_request(f"invalid object type: {_kind_of(config)}")
    metadata = config.get("metadata")
    if isinstance(metadata, dict) and metadata.get("managedFields") is not None:
        raise errors.bad_request("metadata.managedFields must be nil")


def _kind_of(config: Object) -> str:
    version = str(config.get("apiVersion") or "")
    return f"{version if '/' in version else '/' + version}, Kind={config.get('kind') or ''}"


def _named(config: Object) -> str:
    metadata = config.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    return f"{metadata.get('namespace', '')}/{metadata.get('name', '')}; {_kind_of(config)}"
