"""TaintNodesByCondition: a new node takes no pods before the failure detector has found it ready.

Source: ``plugin/pkg/admission/nodetaint``. Who takes the taint away is ``controllers/node_lifecycle``.
"""

from __future__ import annotations

from picluster.api.resources import NODES, Resource
from picluster.apiserver.admission.chain import CREATE, Attributes

NOT_READY = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}


class TaintNodesByCondition:
    name = "TaintNodesByCondition"

    def concerns(self, resource: Resource, subresource: str, operation: str) -> bool:
        return resource is NODES and not subresource and operation == CREATE

    async def admit(self, attributes: Attributes) -> None:
        assert attributes.obj is not None
        spec = attributes.obj.setdefault("spec", {})
        taints = spec.get("taints") or []
        if not any(all(taint.get(field) == value for field, value in NOT_READY.items()) for taint in taints):
            spec["taints"] = [*taints, dict(NOT_READY)]
