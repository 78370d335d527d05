"""RuntimeClasses: nodes by labels that have other names now."""

from __future__ import annotations

from picluster.api.types import Object
from picluster.api.warnings.common import NODE_LABELS


def create(runtime_class: Object) -> list[str]:
    selector = (runtime_class.get("scheduling") or {}).get("nodeSelector") or ()
    return [f"scheduling.nodeSelector: {NODE_LABELS[label]}" for label in selector if label in NODE_LABELS]


def update(new: Object, old: Object) -> list[str]:
    return create(new)
