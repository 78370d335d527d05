"""DefaultStorageClass: a claim that names no class gets the one that an annotation makes the default.

Source: ``plugin/pkg/admission/storage/storageclass/setdefault``. Of several the newest counts.
"""

from __future__ import annotations

from picluster.api.resources import PERSISTENT_VOLUME_CLAIMS, STORAGE_CLASSES, Resource
from picluster.api.types import Object
from picluster.apiserver.admission.chain import CREATE, Attributes
from picluster.apiserver.admission.live import Live
from picluster.apiserver.cache.watchcache import WatchCache

DEFAULTS = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")
CLAIM_CLASS = "volume.beta.kubernetes.io/storage-class"


class DefaultStorageClass:
    name = "DefaultStorageClass"

    def __init__(self, cache: WatchCache) -> None:
        self._classes = Live(cache, STORAGE_CLASSES)

    def concerns(self, resource: Resource, subresource: str, operation: str) -> bool:
        return resource is PERSISTENT_VOLUME_CLAIMS and not subresource and operation == CREATE

    async def admit(self, attributes: Attributes) -> None:
        claim = attributes.obj
        assert claim is not None
        annotated = CLAIM_CLASS in (claim["metadata"].get("annotations") or {})
        if annotated or (claim.get("spec") or {}).get("storageClassName") is not None:
            return
        defaults = [found for found in self._classes.within("") if _is_default(found)]
        if defaults:
            newest = sorted(defaults, key=lambda found: found["metadata"]["name"])
            newest.sort(key=lambda found: str(found["metadata"]["creationTimestamp"]), reverse=True)
            claim["spec"]["storageClassName"] = newest[0]["metadata"]["name"]


def _is_default(found: Object) -> bool:
    said = found["metadata"].get("annotations") or {}
    return any(said.get(name) == "true" for name in DEFAULTS)
