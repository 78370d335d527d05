"""Index functions that find dependents by their controller, and those that nobody controls by their namespace."""

from __future__ import annotations

from picluster.api.meta import controller_of
from picluster.api.types import Object
from picluster.client import Informer

BY_CONTROLLER = "controller"
ORPHANS = "orphans"


def add_indexers(informer: Informer) -> None:
    """Make ``dependents`` work on ``informer``."""
    informer.add_indexer(BY_CONTROLLER, _controller_uid)
    informer.add_indexer(ORPHANS, _orphan_namespace)


def dependents(informer: Informer, owner: Object) -> list[Object]:
    """What ``owner`` controls, and what it might adopt: the orphans of its namespace."""
    metadata = owner["metadata"]
    return informer.index(BY_CONTROLLER, metadata["uid"]) + informer.index(ORPHANS, metadata["namespace"])


def controlled_by(informer: Informer, uid: str) -> list[Object]:
    return informer.index(BY_CONTROLLER, uid)


def _controller_uid(obj: Object) -> str | None:
    reference = controller_of(obj)
    return reference["uid"] if reference is not None else None


def _orphan_namespace(obj: Object) -> str | None:
    return None if controller_of(obj) is not None else str(obj["metadata"].get("namespace", ""))
