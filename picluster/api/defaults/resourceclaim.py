"""Defaults of ResourceClaims: one device, exactly, where nothing else is said."""

from __future__ import annotations

from collections.abc import Iterator

from picluster.api.quantity import canonical
from picluster.api.types import Object


def apply(claim: Object) -> None:
    apply_spec(claim.setdefault("spec", {}))
    allocation = (claim.get("status") or {}).get("allocation") or {}
    for result in (allocation.get("devices") or {}).get("results") or ():
        _tolerations(result)


def apply_spec(spec: Object) -> None:
    for request in (spec.setdefault("devices", {})).get("requests") or ():
        for wanted in _alternatives(request):
            if not wanted.get("allocationMode"):
                wanted["allocationMode"] = "ExactCount"
            if wanted["allocationMode"] == "ExactCount" and not wanted.get("count"):
                wanted["count"] = 1
            _tolerations(wanted)
            amounts = (wanted.get("capacity") or {}).get("requests") or {}
            for name, amount in amounts.items():
                amounts[name] = canonical(amount)


def _alternatives(request: Object) -> Iterator[Object]:
    if request.get("exactly") is not None:
        yield request["exactly"]
    yield from request.get("firstAvailable") or ()


def _tolerations(part: Object) -> None:
    for toleration in part.get("tolerations") or ():
        if not toleration.get("operator"):
            toleration["operator"] = "Equal"
