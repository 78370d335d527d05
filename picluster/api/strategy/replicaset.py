"""Replica sets: a generation that follows the spec."""

from __future__ import annotations

from picluster.api.strategy import keep
from picluster.api.strategy.shared import spec_changed, status_at_first
from picluster.api.types import Object

create = status_at_first({"replicas": 0})
changed = spec_changed


def update_status(new: Object, old: Object) -> None:
    keep(new["metadata"], old["metadata"], ("labels",))
