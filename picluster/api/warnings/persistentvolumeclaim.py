"""PersistentVolumeClaims: a class that is named by an annotation, and fractions of bytes."""

from __future__ import annotations

from picluster.api.types import Object
from picluster.api.warnings import claims
from picluster.api.warnings.common import BETA_STORAGE_CLASS, SINCE_V1_8


def create(claim: Object) -> list[str]:
    found = []
    if BETA_STORAGE_CLASS in (claim["metadata"].get("annotations") or {}):
        found.append(f"metadata.annotations[{BETA_STORAGE_CLASS}]: {SINCE_V1_8}")
    return [*found, *claims.of_spec(claim["spec"], "spec")]


def update(new: Object, old: Object) -> list[str]:
    return create(new)
