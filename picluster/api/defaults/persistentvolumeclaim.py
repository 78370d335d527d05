"""Defaults of PersistentVolumeClaims, and of the claims that StatefulSets make."""

from __future__ import annotations

from picluster.api.defaults.quantities import canonicalize
from picluster.api.types import Object


def apply(claim: Object) -> None:
    spec = claim.setdefault("spec", {})
    spec.setdefault("volumeMode", "Filesystem")
    for amounts in (spec.get("resources") or {}).values():
        canonicalize(amounts)
    status = claim.setdefault("status", {})
    if not status.get("phase"):
        status["phase"] = "Pending"
    for field in ("capacity", "allocatedResources"):
        if status.get(field):
            canonicalize(status[field])
