"""RuntimeClass: a pod's class adds its overhead and where it can run (``plugin/pkg/admission/runtimeclass``)."""

from __future__ import annotations

from picluster.api import errors
from picluster.api.quantity import nanos
from picluster.api.resources import PODS, RUNTIME_CLASSES, Resource
from picluster.api.types import Object
from picluster.apiserver.admission.chain import CREATE, Attributes, Basis
from picluster.apiserver.admission.live import Live
from picluster.apiserver.cache.watchcache import WatchCache


class RuntimeClass:
    name = "RuntimeClass"
    basis = Basis(relies_on=(RUNTIME_CLASSES,))

    def __init__(self, cache: WatchCache) -> None:
        self._classes = Live(cache, RUNTIME_CLASSES)

    def concerns(self, resource: Resource, subresource: str, operation: str) -> bool:
        return resource is PODS and not subresource and operation == CREATE

    async def admit(self, attributes: Attributes) -> None:
        assert attributes.obj is not None
        spec = attributes.obj["spec"]
        found = self._class_of(spec, attributes)
        if found is None:
            return
        if (overhead := (found.get("overhead") or {}).get("podFixed")) is not None:
            if spec.get("overhead") and not _same(spec["overhead"], overhead):
                why = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"
                raise errors.forbidden("", "pods", attributes.name, why)
            spec["overhead"] = dict(overhead)
        scheduling = found.get("scheduling") or {}
        for key, value in (scheduling.get("nodeSelector") or {}).items():
            if (spec.get("nodeSelector") or {}).get(key, value) != value:
                why = (
                    f"pod rejected: conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value};"
                    f" pod.spec.nodeSelector[{key}] = {spec['nodeSelector'][key]}"
                )
                raise errors.forbidden("", "pods", attributes.name, why)
            spec.setdefault("nodeSelector", {})[key] = value
        tolerations = spec.setdefault("tolerations", []) if scheduling.get("tolerations") else []
        tolerations += [one for one in scheduling.get("tolerations") or () if one not in tolerations]

    async def validate(self, attributes: Attributes) -> None:
        assert attributes.obj is not None
        spec = attributes.obj["spec"]
        found = self._class_of(spec, attributes)
        overhead = (found or {}).get("overhead")
        if spec.get("overhead") and overhead is None:
            why = "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"
            raise errors.forbidden("", "pods", attributes.name, why)

    def _class_of(self, spec: Object, attributes: Attributes) -> Object | None:
        name = spec.get("runtimeClassName")
        if not name:
            return None
        found = self._classes.get("", name)
        if found is None:
            raise errors.forbidden("", "pods", attributes.name, f'pod rejected: RuntimeClass "{name}" not found')
        return found


def _same(left: Object, right: Object) -> bool:
    return {name: nanos(value) for name, value in left.items()} == {name: nanos(value) for name, value in right.items()}
