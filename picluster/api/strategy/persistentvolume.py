"""Persistent volumes: pending since their creation."""

from __future__ import annotations

from picluster.api.types import Object


def create(volume: Object, now: str) -> None:
    volume["status"] = {"phase": "Pending", "lastPhaseTransitionTime": now}
