"""Defaults of NetworkPolicies."""

from __future__ import annotations

from picluster.api.types import Object


def apply(networkpolicy: Object) -> None:
    spec = networkpolicy.setdefault("spec", {})
    spec.setdefault("podSelector", {})
    for rule in (*(spec.get("ingress") or ()), *(spec.get("egress") or ())):
        for port in rule.get("ports") or ():
            port.setdefault("protocol", "TCP")
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", *(["Egress"] if spec.get("egress") else [])]
