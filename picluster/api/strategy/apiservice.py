"""APIServices: those that the API server answers itself are available from the start."""

from __future__ import annotations

from picluster.api.strategy.shared import keep_metadata
from picluster.api.types import Object

update_status = keep_metadata


def create(apiservice: Object, now: str) -> None:
    apiservice["status"] = {}
    if (apiservice.get("spec") or {}).get("service") is None:
        available = {
            "type": "Available",
            "status": "True",
            "lastTransitionTime": now,
            "reason": "Local",
            "message": "Local APIServices are always available",
        }
        apiservice["status"]["conditions"] = [available]
