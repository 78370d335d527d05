"""Resource slices: a generation that follows the spec; a taint says since when there is one."""

from __future__ import annotations

from picluster.api.strategy.shared import spec_changed
from picluster.api.types import Object

changed = spec_changed


def create(resourceslice: Object, now: str) -> None:
    for device in (resourceslice.get("spec") or {}).get("devices") or ():
        for taint in device.get("taints") or ():
            taint.setdefault("timeAdded", now)
