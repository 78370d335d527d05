"""StorageClasses: topologies by labels that have other names now."""

from __future__ import annotations

from picluster.api.types import Object
from picluster.api.warnings.common import NODE_LABELS


def create(storage_class: Object) -> list[str]:
    return [
        f"allowedTopologies[{index}].matchLabelExpressions[{number}].key: {NODE_LABELS[expression['key']]}"
        for index, term in enumerate(storage_class.get("allowedTopologies") or ())
        for number, expression in enumerate(term.get("matchLabelExpressions") or ())
        if expression.get("key") in NODE_LABELS
    ]


def update(new: Object, old: Object) -> list[str]:
    return create(new)
