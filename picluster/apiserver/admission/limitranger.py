"""LimitRanger: containers that do not say get a namespace's defaults, and what is too little or too much is refused.

Source: ``plugin/pkg/admission/limitranger``. Nothing is looked at in a cluster without limit ranges.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from picluster.api import errors
from picluster.api.podresources import pod_limits, pod_requests
from picluster.api.quantity import NANO, Style, nanos, render
from picluster.api.resources import LIMIT_RANGES, PERSISTENT_VOLUME_CLAIMS, PODS, Resource
from picluster.api.types import Object
from picluster.apiserver.admission.chain import CREATE, UPDATE, Attributes, Basis
from picluster.apiserver.admission.live import Live
from picluster.apiserver.cache.watchcache import WatchCache

ANNOTATION = "kubernetes.io/limit-ranger"
Amounts = Mapping[str, str]


class LimitRanger:
    name = "LimitRanger"
    basis = Basis(relies_on=(LIMIT_RANGES,))

    def __init__(self, cache: WatchCache) -> None:
        self._ranges = Live(cache, LIMIT_RANGES)

    def concerns(self, resource: Resource, subresource: str, operation: str) -> bool:
        if resource is PODS:
            return (subresource, operation) in (("", CREATE), ("resize", UPDATE))
        return resource is PERSISTENT_VOLUME_CLAIMS and not subresource and operation in (CREATE, UPDATE)

    async def admit(self, attributes: Attributes) -> None:
        if not self._ranges or attributes.resource is not PODS or attributes.subresource:
            return
        assert attributes.obj is not None
        for limit_range in self._ranges.within(attributes.namespace):
            apply_defaults(attributes.obj, limit_range)

    async def validate(self, attributes: Attributes) -> None:
        if not self._ranges:
            return
        obj = attributes.obj
        assert obj is not None
        for limit_range in self._ranges.within(attributes.namespace):
            check = failures_of_pod if attributes.resource is PODS else failures_of_claim
            if found := list(check(obj, limit_range)):
                why = found[0] if len(found) == 1 else f"[{', '.join(dict.fromkeys(found))}]"
                name = obj["metadata"].get("name", "")
                raise errors.forbidden("", attributes.resource.plural, name, why)


def apply_defaults(pod: Object, limit_range: Object) -> None:
    """Fill requests and limits in place, and say in an annotation which."""
    requests, limits = _container_defaults(limit_range)
    said: list[str] = []
    for group, word in (("containers", "container"), ("initContainers", "init container")):
        for container in pod["spec"].get(group) or ():
            said += _fill(container, "requests", requests, "request", word)
            said += _fill(container, "limits", limits, "limit", word)
    if said:
        annotations = pod["metadata"].setdefault("annotations", {})
        annotations[ANNOTATION] = f"LimitRanger plugin set: {'; '.join(said)}"


def _container_defaults(limit_range: Object) -> tuple[Object, Object]:
    requests: Object = {}
    limits: Object = {}
    for limit in (limit_range.get("spec") or {}).get("limits") or ():
        if limit["type"] == "Container":
            requests |= limit.get("defaultRequest") or {}
            limits |= limit.get("default") or {}
    return requests, limits


def _fill(container: Object, kind: str, defaults: Object, word: str, where: str) -> list[str]:
    resources = container.setdefault("resources", {}) if defaults else {}
    has = resources.get(kind) or {}
    lacking = sorted(set(defaults) - set(has))
    if not lacking:
        return []
    resources[kind] = {**{name: defaults[name] for name in lacking}, **has}
    return [f"{', '.join(lacking)} {word} for {where} {container['name']}"]


def failures_of_pod(pod: Object, limit_range: Object) -> Iterable[str]:
    spec = pod["spec"]
    for limit in (limit_range.get("spec") or {}).get("limits") or ():
        if limit["type"] == "Container":
            for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
                resources = container.get("resources") or {}
                yield from _failures(limit, "Container", resources.get("requests") or {}, resources.get("limits") or {})
        elif limit["type"] == "Pod":
            yield from _failures(limit, "Pod", _shown(pod_requests(spec)), _shown(pod_limits(spec)))


def failures_of_claim(claim: Object, limit_range: Object) -> Iterable[str]:
    requests = ((claim.get("spec") or {}).get("resources") or {}).get("requests") or {}
    for limit in (limit_range.get("spec") or {}).get("limits") or ():
        if limit["type"] == "PersistentVolumeClaim":
            for name, low in (limit.get("min") or {}).items():
                yield from _too_little("PersistentVolumeClaim", name, low, requests, {})
            for name, high in (limit.get("max") or {}).items():
                yield from _request_too_much("PersistentVolumeClaim", name, high, requests)


def _failures(limit: Object, kind: str, requests: Amounts, limits: Amounts) -> Iterable[str]:
    for name, low in (limit.get("min") or {}).items():
        yield from _too_little(kind, name, low, requests, limits)
    for name, high in (limit.get("max") or {}).items():
        yield from _too_much(kind, name, high, requests, limits)
    for name, ratio in (limit.get("maxLimitRequestRatio") or {}).items():
        yield from _too_far_apart(kind, name, ratio, requests, limits)


def _too_little(kind: str, name: str, low: str, requests: Amounts, limits: Amounts) -> Iterable[str]:
    if name not in requests:
        yield f"minimum {name} usage per {kind} is {low}.  No request is specified"
    elif nanos(requests[name]) < nanos(low):
        yield f"minimum {name} usage per {kind} is {low}, but request is {requests[name]}"
    elif name in limits and nanos(limits[name]) < nanos(low):
        yield f"minimum {name} usage per {kind} is {low}, but limit is {limits[name]}"


def _too_much(kind: str, name: str, high: str, requests: Amounts, limits: Amounts) -> Iterable[str]:
    if name not in limits:
        yield f"maximum {name} usage per {kind} is {high}.  No limit is specified"
    elif nanos(limits[name]) > nanos(high):
        yield f"maximum {name} usage per {kind} is {high}, but limit is {limits[name]}"
    elif name in requests and nanos(requests[name]) > nanos(high):
        yield f"maximum {name} usage per {kind} is {high}, but request is {requests[name]}"


def _request_too_much(kind: str, name: str, high: str, requests: Amounts) -> Iterable[str]:
    if name not in requests:
        yield f"maximum {name} usage per {kind} is {high}.  No request is specified"
    elif nanos(requests[name]) > nanos(high):
        yield f"maximum {name} usage per {kind} is {high}, but request is {requests[name]}"


def _too_far_apart(kind: str, name: str, ratio: str, requests: Amounts, limits: Amounts) -> Iterable[str]:
    limit, request = nanos(limits.get(name, "0")), nanos(requests.get(name, "0"))
    if not limit:
        yield f"{name} max limit to request ratio per {kind} is {ratio}, but no limit is specified or limit is 0"
    elif not request:
        yield f"{name} max limit to request ratio per {kind} is {ratio}, but no request is specified or request is 0"
    else:
        observed = limit / request
        if observed > nanos(ratio) / NANO:
            yield f"{name} max limit to request ratio per {kind} is {ratio}, but provided ratio is {observed:f}"


def _shown(amounts: Mapping[str, int]) -> dict[str, str]:
    """Sums as quantities: cores in decimal, sizes in binary form."""
    return {name: render(nano, Style.DECIMAL if name == "cpu" else Style.BINARY) for name, nano in amounts.items()}
