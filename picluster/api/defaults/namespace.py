"""Defaults of Namespaces."""

from __future__ import annotations

from picluster.api.types import Object

NAME_LABEL = "kubernetes.io/metadata.name"


def apply(namespace: Object) -> None:
    """The name as a label, so that selectors can choose by name; the strategy does the same for a generated name."""
    metadata = namespace.setdefault("metadata", {})
    if metadata.get("name"):
        metadata.setdefault("labels", {})[NAME_LABEL] = metadata["name"]
    status = namespace.setdefault("status", {})
    if not status.get("phase"):
        status["phase"] = "Active"
