"""VolumeAttributesClasses stay while a claim or a volume names them (``pkg/controller/volume/vacprotection``)."""

from __future__ import annotations

from collections.abc import Iterator

from picluster.api.resources import PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, VOLUME_ATTRIBUTES_CLASSES
from picluster.api.types import Object
from picluster.controllers.shared.protection import ProtectionController
from picluster.runtime import Manager


class VacProtectionController(ProtectionController):
    name = "volumeattributesclass-protection-controller"
    resource = VOLUME_ATTRIBUTES_CLASSES
    finalizer = "kubernetes.io/vac-protection"

    def setup(self, manager: Manager) -> None:
        super().setup(manager)
        for resource in (PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES):
            manager.informer(resource).add_handler(self._on_user)

    def _on_user(self, old: Object | None, new: Object | None) -> None:
        """Who names a class no longer may have been the last."""
        if old is not None:
            for name in set(named(old)) - set(named(new or {})):
                self.queue.add(name)

    async def is_used(self, obj: Object) -> bool:
        name = obj["metadata"]["name"]
        for resource in (PERSISTENT_VOLUMES, PERSISTENT_VOLUME_CLAIMS):
            page = await self.client.list(resource)
            if any(name in named(user) for user in page["items"]):
                return True
        return False


def named(user: Object) -> Iterator[str]:
    """The classes that a claim or a volume wants, has, or is getting."""
    spec, status = user.get("spec") or {}, user.get("status") or {}
    modifying = status.get("modifyVolumeStatus") or {}
    for name in (
        spec.get("volumeAttributesClassName"),
        status.get("currentVolumeAttributesClassName"),
        modifying.get("targetVolumeAttributesClassName"),
    ):
        if name:
            yield name
