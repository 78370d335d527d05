"""Defaults of Endpoints."""

from __future__ import annotations

from picluster.api.types import Object


def apply(endpoints: Object) -> None:
    for subset in endpoints.get("subsets") or ():
        for port in subset.get("ports") or ():
            if not port.get("protocol"):
                port["protocol"] = "TCP"
