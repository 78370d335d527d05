"""What strategies of several kinds do alike."""

from __future__ import annotations

from picluster.api.types import Object


def no_status(obj: Object, now: str) -> None:
    """A new object has no status yet, whatever the client says."""
    obj["status"] = {}


def spec_changed(new: Object, old: Object) -> bool:
    return bool(new.get("spec") != old.get("spec"))
