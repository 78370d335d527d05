"""What a Service uses. Source: ``services.go`` in ``pkg/quota/v1/evaluator/core``."""

from __future__ import annotations

from picluster.api.quantity import NANO
from picluster.api.quota.amounts import Amounts
from picluster.api.types import Object


def usage(service: Object, now_s: float) -> Amounts:
    spec = service.get("spec") or {}
    kind, ports = spec.get("type"), len(spec.get("ports") or ())
    used = {"services": NANO}
    if kind == "NodePort":
        used["services.nodeports"] = ports * NANO
    if kind == "LoadBalancer":
        used["services.loadbalancers"] = NANO
        if spec.get("allocateLoadBalancerNodePorts", True):
            used["services.nodeports"] = ports * NANO
    return used
