"""Persistent volumes: pending since their creation; a new phase says since when."""

from __future__ import annotations

from picluster.api.types import Object

SINCE = "lastPhaseTransitionTime"


def create(volume: Object, now: str) -> None:
    volume["status"] = {"phase": "Pending", "lastPhaseTransitionTime": now}


def stamp(new: Object, old: Object, now: str) -> None:
    """KEP-3762: the time of a new phase, unless the client says when; that of the same phase stays."""
    status, before = new.get("status") or {}, old.get("status") or {}
    same, said, was = status.get("phase") == before.get("phase"), status.get(SINCE), before.get(SINCE)
    if same and not said and was:
        status[SINCE] = was
    elif not same and said in (None, was):
        status[SINCE] = now
