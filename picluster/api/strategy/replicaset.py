"""Replica sets: a generation that follows the spec."""

from __future__ import annotations

from picluster.api.strategy import keep
from picluster.api.strategy.shared import no_status, spec_changed
from picluster.api.types import Object

create = no_status
changed = spec_changed


def update_status(new: Object, old: Object) -> None:
    keep(new["metadata"], old["metadata"], ("labels",))
