"""Defaults of ResourceQuotas: amounts in canonical form."""

from __future__ import annotations

from picluster.api.defaults.quantities import canonicalize
from picluster.api.types import Object


def apply(quota: Object) -> None:
    amounts = [quota.setdefault("spec", {}).get("hard")]
    status = quota.get("status") or {}
    amounts += [status.get("hard"), status.get("used")]
    for listed in amounts:
        if listed:
            canonicalize(listed)
