"""Priority: a pod's priority class becomes its number, and there is one class at most that all other pods have.

Source: ``plugin/pkg/admission/priority``. The two classes of the system are made at bootstrap
(``SYSTEM_CLASSES`` in ``api.validation.priorityclass``).
"""

from __future__ import annotations

from picluster.api import errors
from picluster.api.resources import PODS, PRIORITY_CLASSES, Resource
from picluster.api.types import Object
from picluster.apiserver.admission.chain import CREATE, UPDATE, Attributes, Basis
from picluster.apiserver.admission.live import Live
from picluster.apiserver.cache.watchcache import WatchCache

DEFAULT_PRIORITY = 0
DEFAULT_PREEMPTION = "PreemptLowerPriority"


class Priority:
    name = "Priority"
    basis = Basis(relies_on=(PRIORITY_CLASSES,))

    def __init__(self, cache: WatchCache) -> None:
        self._classes = Live(cache, PRIORITY_CLASSES)

    def concerns(self, resource: Resource, subresource: str, operation: str) -> bool:
        if resource is PRIORITY_CLASSES:
            return operation in (CREATE, UPDATE) and not subresource
        return resource is PODS and not subresource and operation == CREATE

    async def admit(self, attributes: Attributes) -> None:
        if attributes.resource is not PODS:
            return
        assert attributes.obj is not None
        spec = attributes.obj["spec"]
        computed, preemption = self._class_of(spec, attributes)
        if spec.get("priority", computed) != computed:
            raise errors.forbidden(
                "", "pods", attributes.name,
                f"the integer value of priority ({spec['priority']}) must not be provided in pod spec; priority"
                f" admission controller computed {computed} from the given PriorityClass name",
            )  # fmt: skip
        if spec.get("preemptionPolicy", preemption) != preemption:
            raise errors.forbidden(
                "", "pods", attributes.name,
                f"the string value of PreemptionPolicy ({spec['preemptionPolicy']}) must not be provided in pod spec;"
                f" priority admission controller computed {preemption} from the given PriorityClass name",
            )  # fmt: skip
        spec["priority"], spec["preemptionPolicy"] = computed, preemption

    async def validate(self, attributes: Attributes) -> None:
        if attributes.resource is not PRIORITY_CLASSES:
            return
        obj = attributes.obj
        assert obj is not None
        if not obj.get("globalDefault"):
            return
        for other in self._classes.within(""):
            if other.get("globalDefault") and other["metadata"]["name"] != obj["metadata"]["name"]:
                default = other["metadata"]["name"]
                why = f"PriorityClass {default} is already marked as default. Only one default can exist"
                raise errors.forbidden("scheduling.k8s.io", "priorityclasses", obj["metadata"]["name"], why)

    def _class_of(self, spec: Object, attributes: Attributes) -> tuple[int, str]:
        name = spec.get("priorityClassName", "")
        if not name:
            if (default := self._default()) is None:
                return DEFAULT_PRIORITY, DEFAULT_PREEMPTION
            spec["priorityClassName"] = default["metadata"]["name"]
            return _values(default)
        found = self._classes.get("", name)
        if found is None:
            raise errors.forbidden("", "pods", attributes.name, f"no PriorityClass with name {name} was found")
        return _values(found)

    def _default(self) -> Object | None:
        """The default class with the lowest value; one at most, unless two were made at the same time."""
        defaults = [found for found in self._classes.within("") if found.get("globalDefault")]
        return min(defaults, key=lambda found: int(found["value"]), default=None)


def _values(found: Object) -> tuple[int, str]:
    return found["value"], found.get("preemptionPolicy") or DEFAULT_PREEMPTION
