"""What a claim of devices uses. Source: ``resource_claims.go`` in ``pkg/quota/v1/evaluator/core``."""

from __future__ import annotations

from picluster.api.quantity import NANO
from picluster.api.quota.amounts import Amounts, add
from picluster.api.types import Object

CLASS_SUFFIX = ".deviceclass.resource.k8s.io/devices"
RESULTS_MAX = 32
"""What ``All`` may come to: as many devices as one allocation has (``AllocationResultsMaxSize``)."""


def usage(claim: Object, now_s: float) -> Amounts:
    used: Amounts = {}
    for request in ((claim.get("spec") or {}).get("devices") or {}).get("requests") or ():
        used = add(used, _request(request))
    return used


def _request(request: Object) -> Amounts:
    """Of alternatives the worst case of each class."""
    worst: Amounts = {}
    for wanted in request.get("firstAvailable") or [request.get("exactly") or {}]:
        if name := wanted.get("deviceClassName"):
            counted = f"{name}{CLASS_SUFFIX}"
            worst[counted] = max(worst.get(counted, 0), _devices(wanted) * NANO)
    return worst


def _devices(wanted: Object) -> int:
    match wanted.get("allocationMode", "ExactCount"):
        case "ExactCount":
            return int(wanted.get("count", 1))
        case "All":
            return RESULTS_MAX
    return 0
