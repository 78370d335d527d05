"""Endpoint slices: a generation without a spec, and nothing new of the topology that v1beta1 had."""

from __future__ import annotations

from picluster.api.types import Object

TOPOLOGY = "deprecatedTopology"


def create(endpointslice: Object, now: str) -> None:
    _drop_topology(endpointslice)


def update(new: Object, old: Object) -> None:
    if new.get("endpoints") != old.get("endpoints"):
        _drop_topology(new)


def changed(new: Object, old: Object) -> bool:
    return any(new.get(field) != old.get(field) for field in ("addressType", "endpoints", "ports")) or (
        (new["metadata"].get("labels") or {}) != (old["metadata"].get("labels") or {})
    )


def _drop_topology(endpointslice: Object) -> None:
    """Nobody can write it in v1 (``dropTopologyOnV1``)."""
    endpoints = endpointslice.get("endpoints") or []
    if any(TOPOLOGY in endpoint for endpoint in endpoints):
        endpointslice["endpoints"] = [
            {field: value for field, value in endpoint.items() if field != TOPOLOGY} for endpoint in endpoints
        ]
