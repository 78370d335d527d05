"""DefaultIngressClass: an ingress that names no class gets the one that an annotation makes the default.

Source: ``plugin/pkg/admission/network/defaultingressclass``. Of several defaults the newest one counts.
"""

from __future__ import annotations

from picluster.api.meta import parse_time
from picluster.api.resources import INGRESS_CLASSES, INGRESSES, Resource
from picluster.apiserver.admission.chain import CREATE, Attributes
from picluster.apiserver.admission.live import Live
from picluster.apiserver.cache.watchcache import WatchCache

DEFAULT = "ingressclass.kubernetes.io/is-default-class"
CLASS_ANNOTATION = "kubernetes.io/ingress.class"


class DefaultIngressClass:
    name = "DefaultIngressClass"

    def __init__(self, cache: WatchCache) -> None:
        self._classes = Live(cache, INGRESS_CLASSES)

    def concerns(self, resource: Resource, subresource: str, operation: str) -> bool:
        return resource is INGRESSES and not subresource and operation == CREATE

    async def admit(self, attributes: Attributes) -> None:
        ingress = attributes.obj
        assert ingress is not None
        annotated = CLASS_ANNOTATION in (ingress["metadata"].get("annotations") or {})
        if annotated or (ingress.get("spec") or {}).get("ingressClassName") is not None:
            return
        defaults = [
            found["metadata"]
            for found in self._classes.within("")
            if (found["metadata"].get("annotations") or {}).get(DEFAULT) == "true"
        ]
        if defaults:
            newest_first = sorted(defaults, key=lambda each: (-parse_time(each["creationTimestamp"]), each["name"]))
            ingress["spec"]["ingressClassName"] = newest_first[0]["name"]
