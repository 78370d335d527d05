"""Ingresses: a class that is named by an annotation."""

from __future__ import annotations

from picluster.api.types import Object

CLASS = "kubernetes.io/ingress.class"


def create(ingress: Object) -> list[str]:
    named = (ingress.get("spec") or {}).get("ingressClassName") is not None
    if named or CLASS not in (ingress["metadata"].get("annotations") or {}):
        return []
    return [f"annotation \"{CLASS}\" is deprecated, please use 'spec.ingressClassName' instead"]
