"""Defaults of IngressClasses."""

from __future__ import annotations

from picluster.api.types import Object


def apply(ingressclass: Object) -> None:
    parameters = (ingressclass.get("spec") or {}).get("parameters")
    if parameters is not None:
        parameters.setdefault("scope", "Cluster")
