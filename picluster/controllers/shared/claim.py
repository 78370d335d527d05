"""Adopt what a controller's selector matches and nobody owns, release what it owns and no longer matches.

The rules are those of ``pkg/controller/controller_ref_manager.go``. Both are patches that name the dependent's uid, so
they never hit a namesake. Before the first adoption the owner is read again from the server: a cache may show an owner
that is already being deleted.
"""

from __future__ import annotations

from collections.abc import Iterable

from picluster.api.errors import ApiError
from picluster.api.meta import controller_of, owner_reference
from picluster.api.resources import Resource
from picluster.api.selectors import LabelSelector
from picluster.api.types import Object
from picluster.client import Client, PatchType
from picluster.controllers.shared.pods import is_terminating, labels
from picluster.runtime import Requeue


async def claim(
    client: Client,
    owner_resource: Resource,
    owner: Object,
    selector: LabelSelector,
    resource: Resource,
    candidates: Iterable[Object],
) -> list[Object]:
    """Those of ``candidates`` (of the owner's namespace) that are the owner's, after adopting and releasing."""
    mine, checked = [], False
    for obj in candidates:
        reference = controller_of(obj)
        matches = selector.matches(labels(obj))
        if reference is not None:
            if reference["uid"] != owner["metadata"]["uid"]:
                continue
            if matches:
                mine.append(obj)
            elif not is_terminating(owner):
                await _release(client, owner, resource, obj)
        elif matches and not is_terminating(owner) and not is_terminating(obj):
            if not checked:
                await _recheck(client, owner_resource, owner)
                checked = True
            if await _adopt(client, owner, resource, obj):
                mine.append(obj)
    return mine


async def _recheck(client: Client, resource: Resource, owner: Object) -> None:
    metadata = owner["metadata"]
    fresh = await client.get(resource, metadata["name"], namespace=metadata.get("namespace"))
    if fresh["metadata"]["uid"] != metadata["uid"]:
        raise Requeue(f"{resource.id} {metadata['name']} was deleted and made again")
    if is_terminating(fresh):
        raise Requeue(f"{resource.id} {metadata['name']} is being deleted")


async def _adopt(client: Client, owner: Object, resource: Resource, obj: Object) -> bool:
    patch = {"metadata": {"uid": obj["metadata"]["uid"], "ownerReferences": [owner_reference(owner)]}}
    return await _patch(client, resource, obj, patch)


async def _release(client: Client, owner: Object, resource: Resource, obj: Object) -> None:
    gone = {"$patch": "delete", "uid": owner["metadata"]["uid"]}
    await _patch(client, resource, obj, {"metadata": {"uid": obj["metadata"]["uid"], "ownerReferences": [gone]}})


async def _patch(client: Client, resource: Resource, obj: Object, patch: Object) -> bool:
    """Whether it worked; an object that is gone meanwhile is nobody's."""
    metadata = obj["metadata"]
    try:
        await client.patch(
            resource, metadata["name"], patch, namespace=metadata.get("namespace"), kind=PatchType.STRATEGIC
        )
    except ApiError as error:
        if error.code == 404 or (error.code in (409, 422) and resource_changed(error)):
            return False
        raise
    return True


def resource_changed(error: ApiError) -> bool:
    """Whether the patch met a namesake: its uid precondition failed."""
    return "uid" in error.message.lower()
