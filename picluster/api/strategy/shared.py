"""What strategies of several kinds do alike."""

from __future__ import annotations

from collections.abc import Callable

from picluster.api.strategy import keep
from picluster.api.types import Object

Create = Callable[[Object, str], None]
Update = Callable[[Object, Object], None]


def never_absent(status: Object) -> tuple[Create, Update]:
    """A ``create`` and an ``update_status`` of a kind whose status always has the fields of ``status``.

    A new object has just these, whatever the client says; an update gives those that the client leaves out.
    """

    def create(obj: Object, now: str) -> None:
        obj["status"] = dict(status)

    def update_status(new: Object, old: Object) -> None:
        new["status"] = {**status, **(new.get("status") or {})}

    return create, update_status


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
