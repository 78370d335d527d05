"""DefaultStorageClass: a claim that names no class gets the one that an annotation makes the default.

Source: ``plugin/pkg/admission/storage/storageclass/setdefault``. Of several the newest counts.
"""

from __future__ import annotations

from picluster.api.resources import PERSISTENT_VOLUME_CLAIMS, STORAGE_CLASSES, Resource
from picluster.api.volumebinding import default_class, names_class
from picluster.apiserver.admission.chain import CREATE, Attributes
from picluster.apiserver.admission.live import Live
from picluster.apiserver.cache.watchcache import WatchCache


class DefaultStorageClass:
    name = "DefaultStorageClass"

    def __init__(self, cache: WatchCache) -> None:
        self._classes = Live(cache, STORAGE_CLASSES)

    def concerns(self, resource: Resource, subresource: str, operation: str) -> bool:
        return resource is PERSISTENT_VOLUME_CLAIMS and not subresource and operation == CREATE

    async def admit(self, attributes: Attributes) -> None:
        claim = attributes.obj
        assert claim is not None
        if names_class(claim):
            return
        default = default_class(self._classes.within(""))
        if default is not None:
            claim["spec"]["storageClassName"] = default["metadata"]["name"]
