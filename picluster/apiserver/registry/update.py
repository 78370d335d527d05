"""PUT, of an object or its status; and the last steps that every change of a live object takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from picluster.api import errors, meta, strategy
from picluster.api.resources import (
    API_SERVICES,
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    CORE_EVENTS,
    CSI_DRIVERS,
    CSI_NODES,
    CSI_STORAGE_CAPACITIES,
    CUSTOM_RESOURCE_DEFINITIONS,
    ENDPOINTS,
    EVENTS,
    LEASES,
    LIMIT_RANGES,
    MUTATING_ADMISSION_POLICIES,
    MUTATING_ADMISSION_POLICY_BINDINGS,
    MUTATING_WEBHOOK_CONFIGURATIONS,
    NAMESPACES,
    NODES,
    POD_DISRUPTION_BUDGETS,
    ROLE_BINDINGS,
    ROLES,
    RUNTIME_CLASSES,
    SERVICES,
    VALIDATING_ADMISSION_POLICIES,
    VALIDATING_ADMISSION_POLICY_BINDINGS,
    VALIDATING_WEBHOOK_CONFIGURATIONS,
    VOLUME_ATTACHMENTS,
    Resource,
)
from picluster.api.types import Object
from picluster.apiserver.admission.chain import UPDATE, Attributes
from picluster.apiserver.answers import Answer
from picluster.apiserver.cache.index import Entry
from picluster.apiserver.registry import ipaddresses, ownership
from picluster.apiserver.registry.create import create_read
from picluster.apiserver.registry.kinds import BuiltIn, Kind
from picluster.apiserver.registry.registry import Registry, Write, read_object
from picluster.apiserver.registry.store import WRITE_ATTEMPTS_MAX, decoded
from picluster.storage.backend import RevisionMismatch

CREATED_BY_UPDATE = frozenset({
    LEASES, ENDPOINTS, SERVICES, CORE_EVENTS, EVENTS, LIMIT_RANGES, ROLES, ROLE_BINDINGS, CLUSTER_ROLES,
    CLUSTER_ROLE_BINDINGS,
})  # fmt: skip
"""Kinds that a PUT creates when they are not there (``AllowCreateOnUpdate``)."""
CONDITIONAL_ONLY = frozenset({
    CUSTOM_RESOURCE_DEFINITIONS, LEASES, POD_DISRUPTION_BUDGETS, RUNTIME_CLASSES, API_SERVICES, CSI_DRIVERS, CSI_NODES,
    CSI_STORAGE_CAPACITIES, VOLUME_ATTACHMENTS, MUTATING_WEBHOOK_CONFIGURATIONS, VALIDATING_WEBHOOK_CONFIGURATIONS,
    MUTATING_ADMISSION_POLICIES, MUTATING_ADMISSION_POLICY_BINDINGS, VALIDATING_ADMISSION_POLICIES,
    VALIDATING_ADMISSION_POLICY_BINDINGS,
})  # fmt: skip
"""Kinds that cannot be updated without a resourceVersion (``AllowUnconditionalUpdate``), as no custom resource can."""
NODE_LEASES = "kube-node-lease"

Decode = Callable[[], Any]
Change = Callable[[Object], Object]
MayCreate = Callable[[], None]
"""Raises ``ApiError`` 403 if the client may not create."""


async def update(registry: Registry, write: Write, decode: Decode, body: bytes | None, may_create: MayCreate) -> Answer:
    """Replace an object by what ``decode`` gives (a new value at each call); raises ``ApiError``."""
    obj = decode()
    read_object(write, registry.kind(write.resource), obj, body)
    check_identity(write, obj)
    if registry.store.cache.get(write.resource, write.namespace, write.name) is None:
        return await _create_instead(registry, write, obj, may_create)
    unused: list[Object] = [obj]

    def change(old: Object) -> Object:
        new = unused.pop() if unused else _reread(registry, write, decode)
        registry.kind(write.resource).default(new)
        return new

    return Answer(200, await change_object(registry, write, change))


async def change_object(registry: Registry, write: Write, change: Change, *, owned: bool = False) -> bytes:
    """Apply ``change`` to the live object until nobody was faster, and return the wire bytes.

    ``change`` gets the live object, which it must leave as it is, and returns a whole new one, defaults applied, and
    if it is ``owned`` its owners too. If that carries a resourceVersion, it must be the live one: 409 otherwise.
    """
    complete = finish_owned if owned else finish
    for _ in range(WRITE_ATTEMPTS_MAX):
        entry = registry.store.get(write.resource, write.namespace, write.name)
        old = await registry.kind(write.resource).read(decoded(entry))
        new = change(old)
        check_version(write, new, old)
        try:
            return await complete(registry, write, entry, old, new)
        except RevisionMismatch as mismatch:
            lost = mismatch
    raise errors.conflict(write.resource.group, write.resource.plural, write.name) from lost


async def finish(registry: Registry, write: Write, entry: Entry, old: Object, new: Object) -> bytes:
    """Owners, admission, strategy, validation, the write; raises ``RevisionMismatch`` if ``entry`` is not live now."""
    ownership.updated(registry, write, old, new)
    return await finish_owned(registry, write, entry, old, new)


async def finish_owned(registry: Registry, write: Write, entry: Entry, old: Object, new: Object) -> bytes:
    """``finish`` of an object that has its owners."""
    attributes = write.attributes(UPDATE, new, old)
    owners = new["metadata"].get("managedFields")
    await registry.admission.admit(attributes)
    ownership.settle_admitted(write, new, owners)
    if (guard := registry.guards.get(write.resource)) is not None:
        guard(write, new, old)
    return await finish_admitted(registry, write, entry, old, new, attributes)


async def finish_admitted(
    registry: Registry, write: Write, entry: Entry, old: Object, new: Object, attributes: Attributes
) -> bytes:
    """``finish`` after the mutating plugins; the validating ones are asked about ``attributes``.

    An object on its way out that has lost its last finalizer is deleted here.
    """
    resource, subresource = write.resource, write.subresource or None
    kind = registry.kind(resource)
    kind.prepare_update(new, old, subresource)
    if strategy.stamps(resource):
        strategy.stamp(resource, new, old, meta.now_rfc3339(registry.clock.now()))
    ownership.settle_times(old, new)
    failures = kind.update_failures(new, old, subresource)
    if failures:
        raise errors.invalid(resource.group, resource.kind, write.name, failures)
    write.warnings += kind.update_warnings(new, old, subresource)
    await registry.admission.validate(attributes)
    if released(resource, new, old):
        return await _delete_released(registry, write, entry, new)
    if _same(new, old) and not registry.store.is_stale(resource, entry) and await _is_current(kind, entry, new):
        return entry.wire
    if resource is SERVICES and not subresource:
        return await _replace_service(registry, write, entry, old, new)
    stored = await kind.keep(new)
    durable = not _heartbeat(write, old, new)
    return await registry.store.replace(resource, entry, stored, dry_run=write.dry_run, durable=durable)


def released(resource: Resource, new: Object, old: Object) -> bool:
    """Whether an update lets a deletion that has waited go through (``ShouldDeleteDuringUpdate``)."""
    metadata, old_metadata = new["metadata"], old["metadata"]
    if metadata.get("finalizers") or not old_metadata.get("deletionTimestamp"):
        return False
    if resource is NAMESPACES and (new.get("spec") or {}).get("finalizers"):
        return False
    return not old_metadata.get("deletionGracePeriodSeconds")


def check_version(write: Write, new: Object, old: Object) -> None:
    """Raise ``ApiError`` 409 if ``new`` was made from another state, or of another object, than ``old``."""
    resource, metadata = write.resource, new["metadata"]
    uid = metadata.get("uid")
    if uid and uid != old["metadata"].get("uid"):
        why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {old['metadata'].get('uid')}"
        raise errors.conflict(resource.group, resource.plural, write.name, why)
    version = metadata.get("resourceVersion")
    if version and version != "0" and version != old["metadata"]["resourceVersion"]:
        raise errors.conflict(resource.group, resource.plural, write.name)
    if not version and (resource in CONDITIONAL_ONLY or not resource.schema):
        failure = errors.invalid_value("metadata.resourceVersion", 0, "must be specified for an update")
        raise errors.invalid(resource.group, resource.kind, write.name, [failure])


async def _is_current(kind: Kind, entry: Entry, new: Object) -> bool:
    """Whether what is stored is what a write would store: a custom resource's version and defaults may be older."""
    return isinstance(kind, BuiltIn) or _same(await kind.keep(new), decoded(entry))


def _same(new: Object, old: Object) -> bool:
    """Whether there is nothing to write; the order of fields says nothing, but true is not 1 as it is in Python."""
    new = {**new, "metadata": {**new["metadata"], "resourceVersion": old["metadata"]["resourceVersion"]}}
    return new == old and _sorted(new) == _sorted(old)


def _sorted(obj: Object) -> bytes:
    return orjson.dumps(obj, option=orjson.OPT_SORT_KEYS)


async def _replace_service(registry: Registry, write: Write, entry: Entry, old: Object, new: Object) -> bytes:
    async with ipaddresses.reserved(registry, new, old, dry_run=write.dry_run):
        return await registry.store.replace(write.resource, entry, new, dry_run=write.dry_run)


async def _delete_released(registry: Registry, write: Write, entry: Entry, new: Object) -> bytes:
    wire = await registry.store.replace(write.resource, entry, new, dry_run=True)
    await registry.store.delete(write.resource, entry, dry_run=write.dry_run)
    if write.resource is SERVICES and not write.dry_run:
        await ipaddresses.release(registry, new)
    return wire


async def _create_instead(registry: Registry, write: Write, obj: Object, may_create: MayCreate) -> Answer:
    resource, metadata = write.resource, obj["metadata"]
    if resource not in CREATED_BY_UPDATE or write.subresource:
        raise errors.not_found(resource.group, resource.plural, write.name)
    if metadata.get("uid"):
        why = f"Precondition failed: UID in precondition: {metadata['uid']}, UID in object meta: "
        raise errors.conflict(resource.group, resource.plural, write.name, why)
    if metadata.get("resourceVersion", "0") not in ("", "0"):
        raise errors.conflict(resource.group, resource.plural, write.name)
    may_create()
    return await create_read(registry, write, obj)


def check_identity(write: Write, new: Object) -> None:
    """Raise ``ApiError`` 400 unless ``new`` is what the URL names (``checkName``)."""
    metadata = new.setdefault("metadata", {})
    name, namespace = metadata.get("name") or "", metadata.get("namespace") or ""
    if not write.resource.namespaced and namespace:
        raise errors.bad_request("namespace may not be set on objects of cluster scope")
    if write.resource.namespaced and metadata.setdefault("namespace", write.namespace) != write.namespace:
        raise errors.bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    if not name:
        why = "name must be provided"
        raise errors.bad_request(f"the name of the object ({write.name} based on URL) was undeterminable: {why}")
    if name != write.name:
        raise errors.bad_request(f"the name of the object ({name}) does not match the name on the URL ({write.name})")


def _reread(registry: Registry, write: Write, decode: Decode) -> Object:
    """Another copy of a body that has passed once already."""
    obj: Object = decode()
    quiet = Write(write.user, write.resource, write.namespace, write.name, field_validation="Ignore")
    read_object(quiet, registry.kind(write.resource), obj, None)
    check_identity(write, obj)
    return obj


def _heartbeat(write: Write, old: Object, new: Object) -> bool:
    """Whether losing this write in a crash loses nothing: a node's lease, or a node's status with only newer times."""
    if write.resource is LEASES:
        return write.namespace == NODE_LEASES
    if write.resource is not NODES or write.subresource != "status":
        return False
    return _without_owners(new) == _without_owners(old) and _without_beats(new) == _without_beats(old)


def _without_owners(obj: Object) -> Object:
    return {field: value for field, value in obj["metadata"].items() if field != "managedFields"}


def _without_beats(node: Object) -> Object:
    status = dict(node.get("status") or {})
    status["conditions"] = [
        {field: value for field, value in condition.items() if field != "lastHeartbeatTime"}
        for condition in status.get("conditions") or ()
    ]
    return {"spec": node.get("spec"), "status": status}
