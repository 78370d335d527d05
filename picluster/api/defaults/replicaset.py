"""Defaults of ReplicaSets."""

from __future__ import annotations

from picluster.api.defaults import podspec
from picluster.api.types import Object


def apply(replicaset: Object) -> None:
    spec = replicaset.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    podspec.apply_template(spec)
