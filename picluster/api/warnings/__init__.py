"""What a client is told of an object that is taken, but had better be different; goes out in ``Warning`` headers.

One file per kind that has any, with any of ``create(obj)``, ``update(new, old)`` and ``update_status(new, old)``; asked
once an object has passed validation. Sources: ``WarningsOnCreate`` and ``WarningsOnUpdate`` of the strategies in
``pkg/registry`` of Kubernetes 1.36, and ``warnings.go`` and ``util.go`` in ``pkg/api/<kind>``.
"""

from __future__ import annotations

from collections.abc import Sequence

from picluster.api.kindfiles import function
from picluster.api.resources import Resource
from picluster.api.types import Object

_UPDATES = {None: "update", "status": "update_status"}


def of_create(resource: Resource, obj: Object) -> Sequence[str]:
    special = function(__name__, resource, "create")
    return () if special is None else special(obj)


def of_update(resource: Resource, new: Object, old: Object, subresource: str | None) -> Sequence[str]:
    """``subresource`` is ``None`` for the object itself; most have no warnings."""
    name = _UPDATES.get(subresource)
    special = None if name is None else function(__name__, resource, name)
    return () if special is None else special(new, old)
