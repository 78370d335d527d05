"""Resource claims begin without a status; with an allocation goes what was said of its devices."""

from __future__ import annotations

from picluster.api.strategy import keep
from picluster.api.strategy.shared import no_status
from picluster.api.types import Object

create = no_status
_METADATA = ("labels", "annotations", "finalizers", "ownerReferences")


def update_status(new: Object, old: Object) -> None:
    keep(new["metadata"], old["metadata"], _METADATA)
    status = new.get("status") or {}
    gone = _allocated(old.get("status") or {}) - _allocated(status)
    if not gone or not status.get("devices"):
        return
    status["devices"] = [device for device in status["devices"] if _identity(device) not in gone]
    if not status["devices"]:
        del status["devices"]


def _allocated(status: Object) -> set[tuple[str, ...]]:
    devices = (status.get("allocation") or {}).get("devices") or {}
    return {_identity(result) for result in devices.get("results") or ()}


def _identity(device: Object) -> tuple[str, ...]:
    return tuple(device.get(field) or "" for field in ("driver", "pool", "device", "shareID"))
