"""Services begin without an ingress."""

from __future__ import annotations

from picluster.api.types import Object


def create(service: Object, now: str) -> None:
    service["status"] = {"loadBalancer": {}}
