"""Objects that may not go while they are used: a finalizer holds each, and goes with its last user.

What the admission plugin ``StorageObjectInUseProtection`` puts on new objects, objects from before it get here. Source:
``pkg/controller/volume/{pvcprotection,pvprotection,vacprotection}``, which are alike but for what a use is.
"""

from __future__ import annotations

import abc
from typing import ClassVar

from picluster.api.errors import ApiError
from picluster.api.resources import Resource
from picluster.api.types import Object
from picluster.client import Informer
from picluster.runtime import Controller, Manager


class ProtectionController(Controller):
    """Keys are objects of ``resource``, which ``finalizer`` protects."""

    workers = 1
    resource: ClassVar[Resource]
    finalizer: ClassVar[str]

    def setup(self, manager: Manager) -> None:
        self._protected: Informer = manager.informer(self.resource)
        self._protected.add_handler(self._on_protected)

    def _on_protected(self, old: Object | None, new: Object | None) -> None:
        if new is not None and self._held(new) is bool(new["metadata"].get("deletionTimestamp")):
            self.enqueue(old, new)

    def _held(self, obj: Object) -> bool:
        return self.finalizer in (obj["metadata"].get("finalizers") or ())

    async def reconcile(self, key: str) -> float | None:
        found = self._protected.get(key)
        if found is None:
            return None
        leaving, held = bool(found["metadata"].get("deletionTimestamp")), self._held(found)
        if leaving is held and not (leaving and await self.is_used(found)):
            await self._write(found, held=not leaving)
        return None

    @abc.abstractmethod
    async def is_used(self, obj: Object) -> bool:
        """Whether something needs ``obj``, which is to go."""

    async def _write(self, obj: Object, *, held: bool) -> None:
        metadata = obj["metadata"]
        others = [each for each in metadata.get("finalizers") or () if each != self.finalizer]
        finalizers = [*others, self.finalizer] if held else others
        try:
            await self.client.update(self.resource, {**obj, "metadata": {**metadata, "finalizers": finalizers}})
        except ApiError as error:
            if error.code != 404:
                raise
