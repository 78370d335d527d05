"""Deployments: annotations count as a change too, because controllers copy them to replica sets."""

from __future__ import annotations

from picluster.api.strategy import keep
from picluster.api.strategy.shared import no_status, spec_changed
from picluster.api.types import Object

create = no_status


def changed(new: Object, old: Object) -> bool:
    return spec_changed(new, old) or (
        (new["metadata"].get("annotations") or {}) != (old["metadata"].get("annotations") or {})
    )


def update_status(new: Object, old: Object) -> None:
    keep(new["metadata"], old["metadata"], ("labels",))
