"""Volumes stay while they are bound to a claim (``pkg/controller/volume/pvprotection``)."""

from __future__ import annotations

from picluster.api.resources import PERSISTENT_VOLUMES
from picluster.api.types import Object
from picluster.controllers.shared.protection import ProtectionController


class PvProtectionController(ProtectionController):
    name = "pv-protection-controller"
    resource = PERSISTENT_VOLUMES
    finalizer = "kubernetes.io/pv-protection"

    async def is_used(self, obj: Object) -> bool:
        return bool((obj.get("status") or {}).get("phase") == "Bound")
