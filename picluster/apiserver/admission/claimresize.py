"""PersistentVolumeClaimResize: a claim grows only where its class allows that.

Source: ``plugin/pkg/admission/storage/persistentvolume/resize``. That it is bound, validation has found out before.
"""

from __future__ import annotations

from picluster.api import errors
from picluster.api.quantity import nanos
from picluster.api.resources import PERSISTENT_VOLUME_CLAIMS, STORAGE_CLASSES, Resource
from picluster.api.types import Object
from picluster.api.volumebinding import class_of
from picluster.apiserver.admission.chain import UPDATE, Attributes
from picluster.apiserver.cache.watchcache import WatchCache
from picluster.apiserver.registry.store import decoded


class PersistentVolumeClaimResize:
    name = "PersistentVolumeClaimResize"

    def __init__(self, cache: WatchCache) -> None:
        self._cache = cache

    def concerns(self, resource: Resource, subresource: str, operation: str) -> bool:
        return resource is PERSISTENT_VOLUME_CLAIMS and not subresource and operation == UPDATE

    async def validate(self, attributes: Attributes) -> None:
        new, old = attributes.obj, attributes.old
        assert new is not None and old is not None
        if nanos(_size(new)) <= nanos(_size(old)):
            return
        if not self._may_grow(class_of(new), class_of(old)):
            why = (
                "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must"
                " support resize"
            )
            raise errors.forbidden("", attributes.resource.plural, attributes.name, why)

    def _may_grow(self, name: str, old_name: str) -> bool:
        entry = self._cache.get(STORAGE_CLASSES, "", name) if name and name == old_name else None
        return entry is not None and bool(decoded(entry).get("allowVolumeExpansion"))


def _size(claim: Object) -> str:
    requests = ((claim.get("spec") or {}).get("resources") or {}).get("requests") or {}
    return str(requests.get("storage", "0"))
