"""What an evicted pod is told: the kubelet's sentences (``pkg/kubelet/eviction/helpers.go``). PURE."""

from __future__ import annotations

from picluster.api.quantity import Style, canonical, from_value
from picluster.api.types import Object
from picluster_agent import amounts
from picluster_agent.eviction.thresholds import RESOURCES, Observations, Threshold
from picluster_agent.eviction.usage import PodUse


def evicted(resource: str, use: PodUse, met: tuple[Threshold, ...], seen: Observations) -> str:
    """Why a pod goes for the sake of ``resource``, and which of its containers used more than they requested."""
    text = f"The node was low on resource: {resource}. "
    for one in met:
        if RESOURCES[one.signal] == resource and (now := seen.get(one.signal)) is not None:
            wanted = _amount(amounts.of(one.amount, now.capacity), one.amount, resource)
            text += f"Threshold quantity: {wanted}, available: {_shown(now.available, resource)}. "
            break
    text += _of_pod(resource, use)
    spec = use.pod["spec"]
    for container in [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]:
        name = container["name"]
        used = _used(resource, use, name)
        request = ((container.get("resources") or {}).get("requests") or {}).get(resource, "0")
        if used is not None and used > amounts.of(str(request), 0):
            what = f"was using {_shown(used, resource)}, request is {canonical(request)}"
            text += f"Container {name} {what}, has larger consumption of {resource}. "
    return text


def _of_pod(resource: str, use: PodUse) -> str:
    """Of a pod that requests as a whole."""
    request = ((use.pod["spec"].get("resources") or {}).get("requests") or {}).get(resource)
    if resource != "memory" or request is None:
        return ""
    name, used = use.pod["metadata"]["name"], _shown(use.memory_bytes, resource)
    return f"Pod {name} was using {used}, request is {canonical(request)}, has larger consumption of {resource}. "


def _used(resource: str, use: PodUse, name: str) -> int | None:
    if resource == "memory":
        return use.containers.get(name)
    if resource == "ephemeral-storage" and name in use.disk.roots and name in use.disk.logs:
        return use.disk.roots[name][0] + use.disk.logs[name][0]
    return None


def _shown(amount: int, resource: str) -> str:
    return from_value(amount, Style.BINARY if resource in ("memory", "ephemeral-storage") else Style.DECIMAL)


def _amount(amount: int, as_written: str, resource: str) -> str:
    return _shown(amount, resource) if as_written.endswith("%") else canonical(as_written)


def empty_dir(volume: Object) -> str:
    limit = canonical(volume["emptyDir"]["sizeLimit"])
    return f'Usage of EmptyDir volume "{volume["name"]}" exceeds the limit "{limit}". '


def whole_pod(limit: str) -> str:
    return f"Pod ephemeral local storage usage exceeds the total limit of containers {limit}. "


def container(name: str, limit: str) -> str:
    return f'Container {name} exceeded its local ephemeral storage limit "{limit}". '
