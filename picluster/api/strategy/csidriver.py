"""CSIDrivers: a generation that counts changes of what may change; it begins with the first of them."""

from __future__ import annotations

from picluster.api.types import Object

_COUNTED = (
    "tokenRequests",
    "requiresRepublish",
    "seLinuxMount",
    "nodeAllocatableUpdatePeriodSeconds",
    "serviceAccountTokenInSecrets",
)


def create(csidriver: Object, now: str) -> None:
    csidriver["metadata"].pop("generation", None)


def changed(new: Object, old: Object) -> bool:
    spec, old_spec = new.get("spec") or {}, old.get("spec") or {}
    return any(spec.get(field) != old_spec.get(field) for field in _COUNTED)
