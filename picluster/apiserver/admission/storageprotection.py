"""StorageObjectInUseProtection: volumes, claims and their classes begin with the finalizer that protects them.

Source: ``plugin/pkg/admission/storage/storageobjectinuseprotection``. Controllers take it away again, from who is to go
and is not used any more.
"""

from __future__ import annotations

from picluster.api.resources import (
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    VOLUME_ATTRIBUTES_CLASSES,
    Resource,
)
from picluster.apiserver.admission.chain import CREATE, Attributes

FINALIZERS = {
    PERSISTENT_VOLUMES.stored_as: "kubernetes.io/pv-protection",
    PERSISTENT_VOLUME_CLAIMS.stored_as: "kubernetes.io/pvc-protection",
    VOLUME_ATTRIBUTES_CLASSES.stored_as: "kubernetes.io/vac-protection",
}


class StorageObjectInUseProtection:
    name = "StorageObjectInUseProtection"

    def concerns(self, resource: Resource, subresource: str, operation: str) -> bool:
        return resource.stored_as in FINALIZERS and not subresource and operation == CREATE

    async def admit(self, attributes: Attributes) -> None:
        assert attributes.obj is not None
        metadata, finalizer = attributes.obj["metadata"], FINALIZERS[attributes.resource.stored_as]
        finalizers = metadata.get("finalizers") or []
        if finalizer not in finalizers:
            metadata["finalizers"] = [*finalizers, finalizer]
