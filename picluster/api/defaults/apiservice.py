"""Defaults of APIServices."""

from __future__ import annotations

from picluster.api.types import Object

PORT = 443


def apply(apiservice: Object) -> None:
    service = (apiservice.get("spec") or {}).get("service")
    if service is not None:
        service.setdefault("port", PORT)
