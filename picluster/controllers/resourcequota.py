"""Resource quotas: what a namespace's objects use, counted anew (``pkg/controller/resourcequota``).

Admission charges a quota before an object is stored; nobody tells it when an object goes, finishes, or was never
stored. So a quota is counted when its spec changes, when something that it counts goes or changes what it uses, and
every ``RESYNC_S``. Objects are listed for that, not kept: quotas are few.
"""

from __future__ import annotations

from collections.abc import Iterable

from picluster.api import quota
from picluster.api.errors import ApiError
from picluster.api.quota import amounts, claims
from picluster.api.quota.amounts import Amounts
from picluster.api.resources import (
    PERSISTENT_VOLUME_CLAIMS,
    PODS,
    RESOURCE_CLAIMS,
    RESOURCE_QUOTAS,
    SERVICES,
    STORED,
    Resource,
)
from picluster.api.types import Object
from picluster.client import list_all
from picluster.client.discovery import collections, served
from picluster.controllers.shared.pods import is_finished
from picluster.runtime import Controller, Manager

RESYNC_S = 300.0
FOREIGN_RESYNC_S = 30.0
"""For quotas of custom resources, whose deletions nobody here watches."""
NAMESPACE_INDEX = "namespace"
COUNTED = tuple(resource for resource in STORED if resource.namespaced)


def concerned(hard: Iterable[str], kinds: Iterable[Resource] = COUNTED) -> list[Resource]:
    """Those of ``kinds`` whose objects ``hard`` counts."""
    names = set(hard)
    return [resource for resource in kinds if names & _counting(resource) or _is_special(resource, names)]


def foreign(hard: Iterable[str]) -> bool:
    """Whether ``hard`` counts something that the table does not know: custom resources."""
    known = {f"count/{resource.id}" for resource in COUNTED}
    return any(name.startswith("count/") and name not in known for name in hard)


def _counting(resource: Resource) -> set[str]:
    return {f"count/{resource.id}", resource.id}


def _is_special(resource: Resource, names: set[str]) -> bool:
    """Whether one of ``names`` sums up what objects of ``resource`` use."""
    if resource is SERVICES:
        return any(name.startswith("services.") for name in names)
    if resource is PERSISTENT_VOLUME_CLAIMS:
        return any(name == "requests.storage" or ".storageclass.storage.k8s.io/" in name for name in names)
    if resource is RESOURCE_CLAIMS:
        return any(name.endswith(claims.CLASS_SUFFIX) for name in names)
    if resource is PODS:
        return any(name.startswith(("requests.", "limits.", "hugepages-")) or name in POD_NAMES for name in names)
    return False


POD_NAMES = frozenset({"cpu", "memory", "ephemeral-storage"})


class ResourceQuotaController(Controller):
    """Keys are ``namespace/name`` of quotas."""

    name = "resourcequota-controller"
    workers = 2

    def setup(self, manager: Manager) -> None:
        self._quotas = manager.informer(RESOURCE_QUOTAS)
        self._quotas.add_indexer(NAMESPACE_INDEX, lambda obj: [obj["metadata"]["namespace"]])
        self._quotas.add_handler(self._on_quota)
        for resource in COUNTED:
            if resource is not RESOURCE_QUOTAS:
                informer = manager.informer(resource, metadata_only=resource not in WATCHED_WHOLE)
                informer.add_handler(self._on_object)

    def _on_quota(self, old: Object | None, new: Object | None) -> None:
        if new is not None and (old is None or old.get("spec") != new.get("spec") or _lags(new)):
            self.enqueue(old, new)
        elif new is None and old is not None:
            self._count_again(old["metadata"]["namespace"])

    def _on_object(self, old: Object | None, new: Object | None) -> None:
        """Something that was counted goes, finishes, or asks for another amount."""
        if old is None:
            return
        ended = new is None or (not is_finished(old) and is_finished(new))
        if ended or _asks(old) != _asks(new):
            self._count_again(old["metadata"]["namespace"])

    def _count_again(self, namespace: str) -> None:
        for found in self._quotas.index(NAMESPACE_INDEX, namespace):
            self.enqueue(None, found)

    async def reconcile(self, key: str) -> float | None:
        found = self._quotas.get(key)
        if found is None or found["metadata"].get("deletionTimestamp"):
            return None
        metadata = found["metadata"]
        fresh = await self.client.get(RESOURCE_QUOTAS, metadata["name"], namespace=metadata["namespace"])
        spec = fresh.get("spec") or {}
        hard = spec.get("hard") or {}
        used = await self._count(metadata["namespace"], spec, hard)
        status = {"hard": hard, "used": amounts.write({**dict.fromkeys(hard, 0), **used}, hard)}
        if status != fresh.get("status"):
            await self._write({**fresh, "status": status})
        return FOREIGN_RESYNC_S if foreign(hard) else RESYNC_S

    async def _count(self, namespace: str, spec: Object, hard: Object) -> Amounts:
        total: Amounts = {}
        kinds = collections(await served(self.client)) if foreign(hard) else COUNTED
        for resource in concerned(hard, [kind for kind in kinds if kind.namespaced]):
            found = await list_all(self.client, resource, namespace=namespace)
            for obj in found["items"]:
                if quota.selects(spec, resource, obj):
                    total = amounts.add(total, quota.usage(resource, obj, self.clock.now()))
        return amounts.only(total, hard)

    async def _write(self, fresh: Object) -> None:
        try:
            await self.client.update(RESOURCE_QUOTAS, fresh, subresource="status")
        except ApiError as error:
            if error.code == 409:  # admission has charged it meanwhile: count again
                self.enqueue(None, fresh)
            elif error.code != 404:
                raise


WATCHED_WHOLE = frozenset({PODS, SERVICES})


def _asks(obj: Object | None) -> object:
    """What of a Service counts besides its being there."""
    spec = (obj or {}).get("spec") or {}
    return spec.get("type"), len(spec.get("ports") or ()), spec.get("allocateLoadBalancerNodePorts")


def _lags(found: Object) -> bool:
    return ((found.get("status") or {}).get("hard") or {}) != ((found.get("spec") or {}).get("hard") or {})
