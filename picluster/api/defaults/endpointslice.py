"""Defaults of EndpointSlices."""

from __future__ import annotations

from picluster.api.types import Object


def apply(endpointslice: Object) -> None:
    for port in endpointslice.get("ports") or ():
        port.setdefault("name", "")
        port.setdefault("protocol", "TCP")
