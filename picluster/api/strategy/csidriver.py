"""CSIDrivers: a generation that counts changes of the spec; it begins with the first of them."""

from __future__ import annotations

from picluster.api.strategy.shared import spec_changed
from picluster.api.types import Object

changed = spec_changed


def create(csidriver: Object, now: str) -> None:
    csidriver["metadata"].pop("generation", None)
