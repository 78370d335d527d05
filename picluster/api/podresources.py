"""What a pod asks for: the sum the scheduler counts, and the quality-of-service class that follows from it.

Sources: ``k8s.io/component-helpers/resource`` and ``pkg/apis/core/helper/qos``. Amounts are nanos (``quantity.nanos``).
"""

from __future__ import annotations

from picluster.api.meta import get_condition
from picluster.api.quantity import nanos, render
from picluster.api.types import Object

Amounts = dict[str, int]

_QOS_RESOURCES = ("cpu", "memory")


def pod_requests(spec: Object) -> Amounts:
    """The requests of a whole pod: containers, the worst moment of its init containers, and the overhead."""
    return _of_pod(spec, "requests")


def pod_limits(spec: Object) -> Amounts:
    """The limits of a whole pod; the overhead adds to those that there are."""
    return _of_pod(spec, "limits")


def _of_pod(spec: Object, kind: str) -> Amounts:
    total = _of_containers(spec, kind)
    for name, amount in ((spec.get("resources") or {}).get(kind) or {}).items():
        total[name] = nanos(amount)
    for name, amount in (spec.get("overhead") or {}).items():
        if kind == "requests" or name in total:
            total[name] = total.get(name, 0) + nanos(amount)
    return total


def held_requests(pod: Object) -> Amounts:
    """What a pod on a node counts for: the most of what it asks for, was granted and has (KEP-1287).

    A resize that its node called infeasible does not count.
    """
    spec, resizing = pod["spec"], being_resized(pod)
    if not resizing:
        return pod_requests(spec)
    pending = get_condition(pod, "PodResizePending") or {}
    asked_too = pending.get("reason") != "Infeasible"
    held = dict(spec)
    for group in ("containers", "initContainers"):
        if group in spec:
            held[group] = [_held(one, resizing.get(one["name"]), asked_too) for one in spec[group]]
    return pod_requests(held)


def being_resized(pod: Object) -> dict[str, Object]:
    """Statuses of containers, by name, that were granted, or have, other requests than they ask for."""
    status = pod.get("status") or {}
    reported = [*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ())]
    found: dict[str, Object] = {}
    if not reported:
        return found
    asked = {
        one["name"]: (one.get("resources") or {}).get("requests")
        for key in _GROUPS
        for one in pod["spec"].get(key) or ()
    }
    for one in reported:
        wanted = asked.get(one["name"])
        granted, has = one.get("allocatedResources"), (one.get("resources") or {}).get("requests")
        if (granted and granted != wanted) or (has and has != wanted):
            found[one["name"]] = one
    return found


def _held(container: Object, reported: Object | None, asked_too: bool) -> Object:
    if reported is None:
        return container
    most: Amounts = {}
    asked = (container.get("resources") or {}).get("requests") or {}
    has = (reported.get("resources") or {}).get("requests") or {}
    for amounts in (reported.get("allocatedResources") or {}, has, *([asked] if asked_too else [])):
        _raise_to(most, {name: nanos(amount) for name, amount in amounts.items()})
    return {**container, "resources": {"requests": {name: render(amount) for name, amount in most.items()}}}


def container_requests(spec: Object) -> Amounts:
    """What the containers request together; init containers run one by one, beside the sidecars started before them."""
    return _of_containers(spec, "requests")


def _of_containers(spec: Object, kind: str) -> Amounts:
    total: Amounts = {}
    for container in spec.get("containers") or ():
        _add(total, _amounts(container, kind))
    sidecars: Amounts = {}
    worst: Amounts = {}
    for container in spec.get("initContainers") or ():
        requests = _amounts(container, kind)
        if container.get("restartPolicy") == "Always":
            _add(total, requests)
            _add(sidecars, requests)
            moment = sidecars
        else:
            moment = dict(sidecars)
            _add(moment, requests)
        _raise_to(worst, moment)
    _raise_to(total, worst)
    return total


def qos_class(spec: Object) -> str:
    """``Guaranteed``, ``Burstable`` or ``BestEffort``, from CPU and memory of every container."""
    if spec.get("resources"):
        parts = [spec["resources"]]
    else:
        parts = [c.get("resources") or {} for group in _GROUPS for c in spec.get(group) or ()]
    requests: Amounts = {}
    limits: Amounts = {}
    guaranteed = True
    for resources in parts:
        _add(requests, _counted(resources.get("requests")))
        own_limits = _counted(resources.get("limits"))
        _add(limits, own_limits)
        guaranteed = guaranteed and len(own_limits) == len(_QOS_RESOURCES)
    if not requests and not limits:
        return "BestEffort"
    return "Guaranteed" if guaranteed and requests == limits else "Burstable"


_GROUPS = ("containers", "initContainers")


def _amounts(container: Object, kind: str) -> Amounts:
    amounts = (container.get("resources") or {}).get(kind) or {}
    return {name: nanos(amount) for name, amount in amounts.items()}


def _counted(amounts: Object | None) -> Amounts:
    counted = {name: nanos(amounts[name]) for name in _QOS_RESOURCES if name in amounts} if amounts else {}
    return {name: nano for name, nano in counted.items() if nano > 0}


def _add(total: Amounts, amounts: Amounts) -> None:
    for name, nano in amounts.items():
        total[name] = total.get(name, 0) + nano


def _raise_to(total: Amounts, amounts: Amounts) -> None:
    for name, nano in amounts.items():
        if nano > total.get(name, 0):
            total[name] = nano
