"""Priority: a pod's priority class becomes its number; the two built-in classes, and none, are known here."""

from __future__ import annotations

from picluster.api import errors
from picluster.api.resources import PODS, Resource
from picluster.apiserver.admission.chain import CREATE, Attributes

BUILT_IN = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}
DEFAULT_PRIORITY = 0
DEFAULT_PREEMPTION = "PreemptLowerPriority"


class Priority:
    name = "Priority"

    def concerns(self, resource: Resource, subresource: str, operation: str) -> bool:
        return resource is PODS and not subresource and operation == CREATE

    async def admit(self, attributes: Attributes) -> None:
        assert attributes.obj is not None
        spec = attributes.obj["spec"]
        class_name = spec.get("priorityClassName", "")
        computed = BUILT_IN.get(class_name) if class_name else DEFAULT_PRIORITY
        if computed is None:
            raise errors.forbidden("", "pods", attributes.name, f"no PriorityClass with name {class_name} was found")
        if spec.get("priority", computed) != computed:
            raise errors.forbidden(
                "", "pods", attributes.name,
                f"the integer value of priority ({spec['priority']}) must not be provided in pod spec; priority"
                f" admission controller computed {computed} from the given PriorityClass name",
            )  # fmt: skip
        spec["priority"] = computed
        spec.setdefault("preemptionPolicy", DEFAULT_PREEMPTION)
