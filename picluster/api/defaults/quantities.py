"""Resource lists in canonical form."""

from __future__ import annotations

from picluster.api.quantity import canonical_milli
from picluster.api.types import Object


def canonicalize(amounts: Object) -> None:
    """Rewrite every quantity as Kubernetes does, rounded up to thousandths; nothing finer is kept in resource lists."""
    for name, amount in amounts.items():
        amounts[name] = canonical_milli(amount)
