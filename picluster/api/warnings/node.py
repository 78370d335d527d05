"""Nodes: fields that nobody reads any more."""

from __future__ import annotations

from picluster.api.types import Object


def create(node: Object) -> list[str]:
    spec, found = node.get("spec") or {}, []
    if spec.get("configSource") is not None:
        found.append("spec.configSource: the feature is removed")
    if spec.get("externalID"):
        found.append("spec.externalID: this field is deprecated, and is unused by Kubernetes")
    return found


def update(new: Object, old: Object) -> list[str]:
    return create(new)
