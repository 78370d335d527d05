"""DELETE: at once, or a mark first.

An object that has finalizers, and a pod that runs somewhere, is only marked (``deletionTimestamp``): whoever owns the
finalizer removes it, the pod's agent stops it and deletes it again with no grace. A namespace is marked and emptied by
its controller. Rules: ``rest.BeforeDelete`` and the generic store's ``Delete`` in ``k8s.io/apiserver``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from picluster.api import errors, meta, strategy
from picluster.api.resources import (
    CSI_DRIVERS,
    CSI_NODES,
    DEVICE_CLASSES,
    JOBS,
    NAMESPACES,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    POD_TEMPLATES,
    PODS,
    REPLICATION_CONTROLLERS,
    RESOURCE_CLAIM_TEMPLATES,
    RESOURCE_CLAIMS,
    RESOURCE_QUOTAS,
    RESOURCE_SLICES,
    SERVICE_ACCOUNTS,
    SERVICES,
    STORAGE_CLASSES,
    VOLUME_ATTACHMENTS,
    VOLUME_ATTRIBUTES_CLASSES,
    Resource,
)
from picluster.api.types import Object
from picluster.apiserver.admission.chain import DELETE
from picluster.apiserver.answers import Answer, success
from picluster.apiserver.cache.index import Entry
from picluster.apiserver.cache.selection import select
from picluster.apiserver.registry import ipaddresses
from picluster.apiserver.registry.options import (
    FOREGROUND_FINALIZER,
    ORPHAN_FINALIZER,
    DeleteOptions,
    deletion_finalizers,
)
from picluster.apiserver.registry.registry import Registry, Write
from picluster.apiserver.registry.store import WRITE_ATTEMPTS_MAX, decoded
from picluster.storage.backend import RevisionMismatch

DELETED_AT_ONCE_MAX = 64
"""How many objects of a collection are deleted at the same time, so that they share the store's commits."""
SHOWN_WHEN_DELETED = frozenset({
    PODS, SERVICES, SERVICE_ACCOUNTS, POD_TEMPLATES, RESOURCE_QUOTAS, PERSISTENT_VOLUMES, PERSISTENT_VOLUME_CLAIMS,
    DEVICE_CLASSES, RESOURCE_CLAIMS, RESOURCE_CLAIM_TEMPLATES, RESOURCE_SLICES, STORAGE_CLASSES, VOLUME_ATTACHMENTS,
    VOLUME_ATTRIBUTES_CLASSES, CSI_DRIVERS, CSI_NODES,
})  # fmt: skip
"""Kinds whose deletion answers with the object instead of a Status (``ReturnDeletedObject``)."""
ORPHANING = frozenset({JOBS, REPLICATION_CONTROLLERS})
"""Kinds whose pods stay when nobody says otherwise (``DefaultGarbageCollectionPolicy``)."""
JOB_WARNING = (
    "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set"
    " propagationPolicy=Orphan to suppress this warning"
)


Choose = Callable[[list[Entry]], Awaitable[list[Entry]]]


async def delete(registry: Registry, write: Write, options: DeleteOptions) -> Answer:
    """Delete one object, or begin to; raises ``ApiError``."""
    if write.resource is JOBS and not options.propagation and JOB_WARNING not in write.warnings:
        write.warnings.append(JOB_WARNING)
    found = decoded(registry.store.get(write.resource, write.namespace, write.name))
    write.options, write.dry_run = options.document(), write.dry_run or options.dry_run
    attributes = write.attributes(DELETE, None, await registry.kind(write.resource).read(found))
    await registry.admission.admit(attributes)
    await registry.admission.validate(attributes)
    return await delete_admitted(registry, write, options)


async def delete_admitted(registry: Registry, write: Write, options: DeleteOptions) -> Answer:
    """``delete`` without asking admission: an eviction has been admitted as such."""
    write.dry_run = write.dry_run or options.dry_run
    for _ in range(WRITE_ATTEMPTS_MAX):
        entry = registry.store.get(write.resource, write.namespace, write.name)
        try:
            return await _delete_once(registry, write, options, entry)
        except RevisionMismatch:
            continue
    raise errors.conflict(write.resource.group, write.resource.plural, write.name)


async def delete_collection(
    registry: Registry,
    write: Write,
    options: DeleteOptions,
    label_selector: str,
    field_selector: str,
    choose: Choose | None = None,
) -> list[bytes]:
    """Delete everything that the selectors select and return the wire bytes of what was there; raises ``ApiError``.

    ``choose`` narrows it down, where the selectors cannot.
    """
    selection = select(write.resource, write.namespace, label_selector, field_selector)
    found = list(registry.store.cache.collection(write.resource).select(selection))
    if choose is not None:
        found = await choose(found)
    for start in range(0, len(found), DELETED_AT_ONCE_MAX):
        some = found[start : start + DELETED_AT_ONCE_MAX]
        await asyncio.gather(*[_delete_if_there(registry, write, options, entry) for entry in some])
    return [entry.wire for entry in found]


async def _delete_if_there(registry: Registry, write: Write, options: DeleteOptions, entry: Entry) -> None:
    each = Write(
        write.user, write.resource, entry.namespace, entry.name, dry_run=write.dry_run, warnings=write.warnings,
        annotations=write.annotations,
    )  # fmt: skip
    try:
        await delete(registry, each, options)
    except errors.ApiError as error:
        if error.reason != "NotFound":
            raise


async def _delete_once(registry: Registry, write: Write, options: DeleteOptions, entry: Entry) -> Answer:
    obj = decoded(entry)
    check_preconditions(write, options, obj)
    if not obj["metadata"].get("deletionTimestamp"):
        strategy.begin_deletion(write.resource, obj, meta.now_rfc3339(registry.clock.now()))
    dry_run = write.dry_run
    marked = _marked(registry, write.resource, obj, options)
    if marked is not None:
        wire = await registry.store.replace(write.resource, entry, marked, dry_run=dry_run)
        return Answer(202 if options.dependents_go else 200, wire)
    await registry.store.delete(write.resource, entry, dry_run=dry_run)
    if write.resource is SERVICES and not dry_run:
        await ipaddresses.release(registry, obj)
    if write.resource in SHOWN_WHEN_DELETED:
        return Answer(200, entry.wire)
    return success(_details(write.resource, obj))


def _marked(registry: Registry, resource: Resource, obj: Object, options: DeleteOptions) -> Object | None:
    """The object as it is while its deletion waits; ``None`` when it can go at once."""
    metadata = dict(obj["metadata"])
    propagation = options.propagation or default_propagation(resource, metadata)
    finalizers = deletion_finalizers(metadata.get("finalizers") or [], propagation)
    if finalizers:
        metadata["finalizers"] = finalizers
    else:
        metadata.pop("finalizers", None)
    grace_s = _grace_s(resource, obj, options)
    waits = bool(finalizers) or grace_s > 0
    if resource is NAMESPACES and (obj.get("spec") or {}).get("finalizers"):
        waits = True
    if not waits:
        return None
    if not metadata.get("deletionTimestamp"):
        if metadata.get("generation"):
            metadata["generation"] += 1
        metadata["deletionTimestamp"] = meta.now_rfc3339(registry.clock.now() + grace_s)
        if resource is not NAMESPACES:
            metadata["deletionGracePeriodSeconds"] = grace_s
    elif grace_s < metadata.get("deletionGracePeriodSeconds", 0):
        began_s = meta.parse_time(metadata["deletionTimestamp"]) - metadata["deletionGracePeriodSeconds"]
        metadata["deletionTimestamp"] = meta.now_rfc3339(began_s + grace_s)
        metadata["deletionGracePeriodSeconds"] = grace_s
    marked = {**obj, "metadata": metadata}
    if resource is NAMESPACES:
        marked["status"] = {**(obj.get("status") or {}), "phase": "Terminating"}
    return marked


def default_propagation(resource: Resource, metadata: Object) -> str:
    """What becomes of dependents when the client does not say: a finalizer that is there already decides."""
    decided = set(metadata.get("finalizers") or ()) & {ORPHAN_FINALIZER, FOREGROUND_FINALIZER}
    return "Orphan" if resource in ORPHANING and not decided else ""


def _grace_s(resource: Resource, obj: Object, options: DeleteOptions) -> int:
    """The grace of a deletion; one that is under way can only be shortened."""
    metadata, requested_s = obj["metadata"], options.grace_period_s
    if not metadata.get("deletionTimestamp"):
        return strategy.delete_grace_period_s(resource, obj, requested_s)
    pending_s: int = metadata.get("deletionGracePeriodSeconds") or 0
    if requested_s is None:
        return pending_s
    return min(pending_s, requested_s if requested_s >= 0 else 1)


def check_preconditions(write: Write, options: DeleteOptions, obj: Object) -> None:
    """Raise ``ApiError`` 409 unless ``obj`` is what the client means to delete."""
    metadata, resource = obj["metadata"], write.resource
    if options.uid and options.uid != metadata.get("uid"):
        why = _mismatch(resource, "UID", options.uid, metadata.get("uid"), "deleted and then recreated")
    elif options.resource_version and options.resource_version != metadata["resourceVersion"]:
        why = _mismatch(resource, "ResourceVersion", options.resource_version, metadata["resourceVersion"], "modified")
    else:
        return
    raise errors.conflict(resource.group, resource.plural, write.name, why)


def _mismatch(resource: Resource, what: str, wanted: str, found: str | None, happened: str) -> str:
    """As ``rest.BeforeDelete`` says it, or ``Delete`` of namespaces, which has its own words."""
    if resource is NAMESPACES:
        return f"Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {found}"
    return (
        f"the {what} in the precondition ({wanted}) does not match the {what} in record ({found})."
        f" The object might have been {happened}"
    )


def _details(resource: Resource, obj: Object) -> Object:
    details: Object = {"name": obj["metadata"]["name"]}
    if resource.group:
        details["group"] = resource.group
    return {**details, "kind": resource.plural, "uid": obj["metadata"]["uid"]}
