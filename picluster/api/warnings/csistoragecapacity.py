"""CSIStorageCapacities: topologies by labels that have other names now."""

from __future__ import annotations

from picluster.api.types import Object
from picluster.api.warnings.common import NODE_LABELS, selector_term


def create(capacity: Object) -> list[str]:
    selector = capacity.get("nodeTopology") or {}
    labels = [label for label in selector.get("matchLabels") or () if label in NODE_LABELS]
    found = selector_term(selector, "nodeTopology", values=False)
    return [*found, *(f"nodeTopology.matchLabels.{label}: {NODE_LABELS[label]}" for label in labels)]


def update(new: Object, old: Object) -> list[str]:
    return create(new)
