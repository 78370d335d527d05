"""What strategies of several kinds do alike."""

from __future__ import annotations

from collections.abc import Callable

from picluster.api.strategy import keep
from picluster.api.types import Object


def status_at_first(status: Object) -> Callable[[Object, str], None]:
    """A ``create`` that gives a new object ``status``, whatever the client says: the fields that are never absent."""

    def create(obj: Object, now: str) -> None:
        obj["status"] = dict(status)

    return create


def never(new: Object, old: Object) -> bool:
    """The ``changed`` of kinds whose generation is 1 for ever."""
    return False


def no_status(obj: Object, now: str) -> None:
    """A new object has no status yet, whatever the client says."""
    obj["status"] = {}


def spec_changed(new: Object, old: Object) -> bool:
    return bool(new.get("spec") != old.get("spec"))


def keep_metadata(new: Object, old: Object) -> None:
    """A status update that leaves labels, annotations, owners and finalizers (``ResetObjectMetaForStatus``)."""
    keep(new["metadata"], old["metadata"], ("labels", "annotations", "finalizers", "ownerReferences"))
