"""Defaults of ResourceSlices: amounts in canonical form."""

from __future__ import annotations

from picluster.api.quantity import canonical
from picluster.api.types import Object

_AMOUNTS = ("default", "min", "max", "step")


def apply(resourceslice: Object) -> None:
    spec = resourceslice.setdefault("spec", {})
    spec.setdefault("pool", {}).setdefault("generation", 0)
    counted = [*(spec.get("sharedCounters") or ())]
    for device in spec.get("devices") or ():
        counted += device.get("consumesCounters") or ()
        for capacity in (device.get("capacity") or {}).values():
            _capacity(capacity)
    for counters in counted:
        for counter in (counters.get("counters") or {}).values():
            if "value" in counter:
                counter["value"] = canonical(counter["value"])


def _capacity(capacity: Object) -> None:
    if "value" in capacity:
        capacity["value"] = canonical(capacity["value"])
    policy = capacity.get("requestPolicy") or {}
    for part in (policy, policy.get("validRange") or {}):
        for field in _AMOUNTS:
            if part.get(field) is not None:
                part[field] = canonical(part[field])
    if policy.get("validValues"):
        policy["validValues"] = [canonical(amount) for amount in policy["validValues"]]
