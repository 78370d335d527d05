"""Finalizers of custom resources: who waits for what should be told apart (``registry/customresource/strategy.go``)."""

from __future__ import annotations

from collections.abc import Iterator

from picluster.api import names
from picluster.api.types import Object

OWN = frozenset(("orphan", "foregroundDeletion"))
QUALIFIED = (
    "prefer a domain-qualified finalizer name including a path (/) to avoid accidental conflicts with other finalizer"
    " writers"
)


def of_added(new: Object, old: Object | None) -> list[str]:
    """What there is to say of the finalizers that ``old`` has not."""
    added = new["metadata"].get("finalizers")
    if not added:
        return []
    known = () if old is None else old["metadata"].get("finalizers") or ()
    return [f'metadata.finalizers: "{name}": {why}' for name in sorted(set(added) - {*known}) for why in _wrong(name)]


def _wrong(name: str) -> Iterator[str]:
    yield from names.qualified_name(name)
    if "/" not in name and name not in OWN:
        yield QUALIFIED
