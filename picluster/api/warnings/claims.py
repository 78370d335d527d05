"""Claims of volumes, of their own and as templates (``pkg/api/persistentvolumeclaim``)."""

from __future__ import annotations

from collections.abc import Iterator

from picluster.api.types import Object
from picluster.api.warnings.common import fraction, is_fraction


def of_spec(spec: Object, path: str) -> Iterator[str]:
    resources = spec.get("resources") or {}
    for kind in ("requests", "limits"):
        amount = (resources.get(kind) or {}).get("storage")
        if amount is not None and is_fraction(amount):
            yield fraction(f"{path}.resources.{kind}[storage]", amount)
