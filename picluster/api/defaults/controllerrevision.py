"""Defaults of ControllerRevisions: the number is always there."""

from __future__ import annotations

from picluster.api.types import Object


def apply(revision: Object) -> None:
    revision.setdefault("revision", 0)
