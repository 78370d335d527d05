"""Making the default roles and bindings, and giving back what somebody took from them.

``component-helpers/auth/rbac/reconciliation``: what is missing is added, what is more stays; whose annotation
``rbac.authorization.kubernetes.io/autoupdate`` is ``false`` is left alone. All at once, so that the store commits them
together; when nothing differs, nothing is written.
"""

from __future__ import annotations

import asyncio

import orjson

from picluster.api import errors
from picluster.api.resources import Resource
from picluster.api.types import Object
from picluster.apiserver.authn import User
from picluster.apiserver.authz import rules
from picluster.apiserver.authz.policy.defaults import AUTO_UPDATE, objects
from picluster.apiserver.registry.create import create
from picluster.apiserver.registry.delete import delete
from picluster.apiserver.registry.options import DeleteOptions
from picluster.apiserver.registry.registry import Registry, Write
from picluster.apiserver.registry.update import change_object


async def reconcile(registry: Registry, user: User) -> None:
    """Bring every default to what it has to be; raises ``ApiError``."""
    await asyncio.gather(*[_ensure(registry, user, resource, wanted) for resource, wanted in objects()])


async def _ensure(registry: Registry, user: User, resource: Resource, wanted: Object) -> None:
    metadata = wanted["metadata"]
    write = Write(user, resource, metadata.get("namespace", ""), metadata["name"])
    entry = registry.store.cache.get(resource, write.namespace, write.name)
    if entry is None:
        await _create(registry, write, wanted)
        return
    found: Object = orjson.loads(entry.wire)
    if (found["metadata"].get("annotations") or {}).get(AUTO_UPDATE) == "false":
        return
    if "roleRef" in wanted and found.get("roleRef") != wanted["roleRef"]:
        await delete(registry, write, DeleteOptions(uid=found["metadata"]["uid"]))
        await _create(registry, write, wanted)
        return
    if completed(found, wanted) != found:
        await change_object(registry, write, lambda old: completed(old, wanted))


async def _create(registry: Registry, write: Write, wanted: Object) -> None:
    try:
        await create(registry, write, wanted, None)
    except errors.ApiError as error:
        if error.reason != "AlreadyExists":
            raise


def completed(found: Object, wanted: Object) -> Object:
    """``found`` with everything that ``wanted`` has and it has not. PURE."""
    metadata = dict(found["metadata"])
    for field in ("labels", "annotations"):
        metadata[field] = {**wanted["metadata"][field], **(metadata.get(field) or {})}
    result = {**found, "metadata": metadata}
    if "roleRef" in wanted:
        lacking = [each for each in wanted.get("subjects") or () if each not in (found.get("subjects") or ())]
        if lacking:
            result["subjects"] = [*(found.get("subjects") or ()), *lacking]
        return result
    if "aggregationRule" in wanted:
        return _gathering(result, wanted)
    if found.get("rules") == wanted["rules"]:
        return result
    missing = rules.missing(rules.read(found.get("rules")), rules.read(wanted["rules"]))
    if missing:
        result["rules"] = [*(found.get("rules") or ()), *map(_rule, missing)]
    return result


def _gathering(role: Object, wanted: Object) -> Object:
    field = "clusterRoleSelectors"
    selectors = (role.get("aggregationRule") or {}).get(field) or []
    lacking = [each for each in wanted["aggregationRule"][field] if each not in selectors]
    return {**role, "aggregationRule": {field: [*selectors, *lacking]}} if lacking else role


def _rule(rule: rules.Rule) -> Object:
    found = {name: list(getattr(rule, name)) for name in rule.__struct_fields__}
    return {name: values for name, values in found.items() if values}
