"""POST: a new object."""

from __future__ import annotations

from typing import Any

from picluster.api import errors, meta
from picluster.api.resources import (
    CERTIFICATE_SIGNING_REQUESTS,
    RESOURCE_CLAIM_TEMPLATES,
    RESOURCE_CLAIMS,
    SERVICES,
)
from picluster.api.strategy import certificatesigningrequest
from picluster.api.strategy.service import normalize
from picluster.api.types import Object
from picluster.apiserver.admission.chain import CREATE
from picluster.apiserver.answers import Answer
from picluster.apiserver.negotiate import decode_json
from picluster.apiserver.registry import adminaccess, ipaddresses, ownership
from picluster.apiserver.registry.registry import Registry, Write, read_object

GENERATE_ATTEMPTS_MAX = 8


async def create_from(registry: Registry, write: Write, body: bytes) -> Answer:
    """``create`` of the object that ``body`` is in JSON."""
    draft = registry.casts.draft(write, body)
    if draft is None:
        return await create(registry, write, decode_json(body, write.resource), body)
    cast = registry.casts.cast(draft, meta.now_rfc3339(registry.clock.now()))
    if cast is not None:
        try:
            return Answer(201, await registry.store.add(write.resource, cast.key, cast.stored))
        except errors.ApiError as error:
            if draft.name or error.reason != "AlreadyExists":
                raise  # but another name may be generated
    obj = decode_json(body, write.resource)
    answer = await create(registry, write, obj, body)
    registry.casts.learn(draft, write, obj)
    return answer


async def create(registry: Registry, write: Write, obj: Any, body: bytes | None) -> Answer:
    """Create ``obj``, the decoded ``body``; raises ``ApiError``. The answer is 201 with the object as stored."""
    read_object(write, registry.kind(write.resource), obj, body)
    return await create_read(registry, write, obj)


async def create_read(registry: Registry, write: Write, obj: Object) -> Answer:
    """``create`` of an object that is already in the form it is kept in."""
    _place(write, obj)
    kind = registry.kind(write.resource)
    kind.default(obj)
    ownership.created(registry, write, obj)
    return await create_owned(registry, write, obj)


async def create_owned(registry: Registry, write: Write, obj: Object) -> Answer:
    """``create`` of an object that has its defaults and its owners."""
    kind = registry.kind(write.resource)
    if write.resource is SERVICES:
        normalize(obj["spec"])
    owners = obj["metadata"].get("managedFields")
    await registry.admission.admit(write.attributes(CREATE, obj, None))
    ownership.settle_admitted(write, obj, owners)
    _place(write, obj)  # admission may have put it elsewhere
    if (guard := registry.guards.get(write.resource)) is not None:
        guard(write, obj, None)
    if write.resource is RESOURCE_CLAIMS or write.resource is RESOURCE_CLAIM_TEMPLATES:
        adminaccess.check(registry, write, obj)
    if write.resource is CERTIFICATE_SIGNING_REQUESTS:
        user, extra = write.user, {key: list(values) for key, values in write.user.extra}
        certificatesigningrequest.requested_by(obj, user.name, user.uid, sorted(user.groups), extra)
    generated = not obj["metadata"].get("name")
    for attempt in range(1, GENERATE_ATTEMPTS_MAX + 1):
        kind.prepare_create(obj, meta.now_rfc3339(registry.clock.now()))
        failures = kind.create_failures(obj)
        if failures:
            name = obj["metadata"].get("name", "")
            raise errors.invalid(write.resource.group, write.resource.kind, name, failures)
        write.warnings += kind.create_warnings(obj)
        try:
            await registry.admission.validate(write.attributes(CREATE, obj, None))
            return Answer(201, await _store(registry, write, obj))
        except errors.ApiError as error:
            if not generated or error.reason != "AlreadyExists":
                raise
            if attempt == GENERATE_ATTEMPTS_MAX:
                raise _no_unique_name(error) from None
        del obj["metadata"]["name"]
    raise AssertionError("the last attempt returns or raises")


async def _store(registry: Registry, write: Write, obj: Object) -> bytes:
    if write.resource is SERVICES:
        return await _store_service(registry, write, obj)
    stored = await registry.kind(write.resource).keep(obj)
    return await registry.store.create(write.resource, stored, dry_run=write.dry_run)


async def _store_service(registry: Registry, write: Write, service: Object) -> bytes:
    async with ipaddresses.reserved(registry, service, None, dry_run=write.dry_run):
        return await registry.store.create(write.resource, service, dry_run=write.dry_run)


def _no_unique_name(error: errors.ApiError) -> errors.ApiError:
    """``NewGenerateNameConflict``: the client may try again."""
    message = f"{error.message}, the server was not able to generate a unique name for the object"
    return errors.ApiError(error.code, error.reason, message, {**(error.details or {}), "retryAfterSeconds": 1})


def _place(write: Write, obj: Object) -> None:
    """Put the request's namespace into the object, or refuse it when the object names another."""
    metadata = obj.setdefault("metadata", {})
    if not write.resource.namespaced:
        if metadata.pop("namespace", ""):
            raise errors.bad_request("namespace may not be set on objects of cluster scope")
    elif metadata.get("namespace", write.namespace) != write.namespace:
        raise errors.bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    else:
        metadata["namespace"] = write.namespace
    write.name = metadata.get("name", "")
