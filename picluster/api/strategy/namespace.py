"""Namespaces: held by a finalizer and labelled with their name from the start."""

from __future__ import annotations

from picluster.api.defaults.namespace import NAME_LABEL
from picluster.api.types import Object

FINALIZER = "kubernetes"


def create(namespace: Object, now: str) -> None:
    finalizers = namespace.setdefault("spec", {}).setdefault("finalizers", [])
    if FINALIZER not in finalizers:
        finalizers.append(FINALIZER)
    namespace["status"] = {"phase": "Active"}
    metadata = namespace["metadata"]
    metadata.setdefault("labels", {})[NAME_LABEL] = metadata.get("name", "")
