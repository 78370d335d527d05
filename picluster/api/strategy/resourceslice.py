"""Resource slices: a generation that follows the spec; a taint says since when there is one."""

from __future__ import annotations

from collections.abc import Iterator

from picluster.api.strategy.shared import spec_changed
from picluster.api.types import Object

changed = spec_changed


def create(resourceslice: Object, now: str) -> None:
    stamp(resourceslice, {}, now)


def stamp(new: Object, old: Object, now: str) -> None:
    """A taint that is there already keeps its time."""
    known = {_identity(device, taint): taint.get("timeAdded") for device, taint in _taints(old)}
    for device, taint in _taints(new):
        if not taint.get("timeAdded"):
            taint["timeAdded"] = known.get(_identity(device, taint)) or now


def _taints(resourceslice: Object) -> Iterator[tuple[Object, Object]]:
    for device in (resourceslice.get("spec") or {}).get("devices") or ():
        for taint in device.get("taints") or ():
            yield device, taint


def _identity(device: Object, taint: Object) -> tuple[object, ...]:
    return (device.get("name"), *(taint.get(field) for field in ("key", "value", "effect")))
