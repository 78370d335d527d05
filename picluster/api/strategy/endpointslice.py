"""Endpoint slices: a generation without a spec."""

from __future__ import annotations

from picluster.api.types import Object


def changed(new: Object, old: Object) -> bool:
    return any(new.get(field) != old.get(field) for field in ("addressType", "endpoints", "ports")) or (
        (new["metadata"].get("labels") or {}) != (old["metadata"].get("labels") or {})
    )
