"""From requests and limits to control group settings, and to who is killed first when memory ends. Pure.

``pkg/kubelet/cm/helpers_linux.go`` for pods, ``kuberuntime_container_linux.go`` for containers, ``qos/policy.go`` for
the killing. A pod's group bounds what its containers use together: their sum, or the pod's own resources (KEP-2837),
and the overhead of its runtime class.
"""

from __future__ import annotations

from collections.abc import Iterable

from picluster.api.podresources import Amounts, pod_limits, pod_requests, qos_class
from picluster.api.quantity import NANO, milli, value
from picluster.api.types import Object
from picluster_agent.cgroups import values
from picluster_agent.cgroups.values import CPU_PERIOD_US, CPU_SHARES_MIN, UNLIMITED, GroupLimits
from picluster_agent.podman.launch import Launch

HUGE_PAGES = "hugepages-"
NODE_CRITICAL_PRIORITY = 2_000_001_000


def limits(launch: Launch) -> Object:
    """The part of the create body that bounds a container and puts it into its pod's group."""
    node = launch.node
    given = container_limits(launch.pod["spec"], launch.container, node.huge_pages)
    cpu: Object = {"shares": given.cpu_shares}
    if given.cpu_quota_us != UNLIMITED:
        cpu.update(quota=given.cpu_quota_us, period=CPU_PERIOD_US)
    linux: Object = {"cpu": cpu}
    if given.memory_bytes != UNLIMITED:
        linux["memory"] = {"limit": given.memory_bytes}
        if node.may_limit_swap:
            linux["memory"]["swap"] = given.memory_bytes
    if given.huge_pages:
        linux["hugepageLimits"] = [{"pageSize": size, "limit": amount} for size, amount in given.huge_pages.items()]
    body: Object = {"resource_limits": linux}
    if launch.cgroup_parent:
        linux["pids"] = {"limit": UNLIMITED}  # the pod's group has the limit of all its containers
        body["cgroup_parent"] = launch.cgroup_parent
    elif node.pod_pids_limit > 0:
        linux["pids"] = {"limit": node.pod_pids_limit}
    if node.cgroup_version == 2:  # Podman 4.3 takes these here; it drops the body's own ``unified`` without a word
        linux["unified"] = {"memory.oom.group": "1"}
        if node.may_limit_swap:
            linux["unified"]["memory.swap.max"] = "0"
    adjustment = oom_score_adjustment(launch.pod, launch.container, node.memory_bytes)
    if adjustment >= 0 or node.may_lower_oom:
        body["oom_score_adj"] = adjustment
    return body


def container_limits(spec: Object, container: Object, huge_pages: Iterable[str] = ()) -> GroupLimits:
    """What one container is given; a limit of the whole pod counts where the container has none.

    ``huge_pages`` are the sizes that the kernel counts (``2MB``): what is not asked for is not given.
    """
    own = container.get("resources") or {}
    of_pod = (spec.get("resources") or {}).get("limits") or {}
    requests, limits_ = own.get("requests") or {}, own.get("limits") or {}
    cpu_limit = milli(limits_.get("cpu") or of_pod.get("cpu") or "0")
    memory_limit = value(limits_.get("memory") or of_pod.get("memory") or "0")
    wanted = requests.get("cpu", limits_.get("cpu"))
    return GroupLimits(
        cpu_shares=values.shares(milli(wanted)) if wanted is not None else CPU_SHARES_MIN,
        cpu_quota_us=values.quota_us(cpu_limit),
        memory_bytes=memory_limit or UNLIMITED,
        huge_pages=_huge_pages({name: value(amount) for name, amount in limits_.items()}, huge_pages),
    )


def group_limits(spec: Object, pids_max: int = 0, huge_pages: Iterable[str] = ()) -> GroupLimits:
    """What a pod's group is given. Memory and processors are bounded only where every container is, or the pod is."""
    requests, bounds = pod_requests(spec), pod_limits(spec)
    quality = qos_class(spec)
    bounded = {name: quality == "Guaranteed" or _all_bounded(spec, name) for name in ("cpu", "memory")}
    cpu = values.quota_us(_milli(bounds, "cpu")) if bounded["cpu"] else UNLIMITED
    memory = _whole(bounds, "memory") if bounded["memory"] else 0
    return GroupLimits(
        cpu_shares=CPU_SHARES_MIN if quality == "BestEffort" else values.shares(_milli(requests, "cpu")),
        cpu_quota_us=UNLIMITED if quality == "BestEffort" else cpu,
        memory_bytes=UNLIMITED if quality == "BestEffort" else memory or UNLIMITED,
        pids_max=pids_max if pids_max > 0 else UNLIMITED,
        huge_pages=_huge_pages({name: _whole(requests, name) for name in requests}, huge_pages),
    )


def _all_bounded(spec: Object, name: str) -> bool:
    if value(((spec.get("resources") or {}).get("limits") or {}).get(name, "0")):
        return True
    everyone = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    return all(value(((one.get("resources") or {}).get("limits") or {}).get(name, "0")) for one in everyone)


def burstable_shares(pods: Iterable[Object]) -> int:
    """Of the group that all Burstable pods (their specs) are in: what they request together."""
    return values.shares(sum(_milli(pod_requests(spec), "cpu") for spec in pods))


def _milli(amounts: Amounts, name: str) -> int:
    return -(-amounts.get(name, 0) * 1000 // NANO)


def _whole(amounts: Amounts, name: str) -> int:
    return -(-amounts.get(name, 0) // NANO)


def _huge_pages(amounts: dict[str, int], sizes: Iterable[str]) -> dict[str, int]:
    given = dict.fromkeys(sizes, 0)
    for name, amount in amounts.items():
        if name.startswith(HUGE_PAGES):
            given[values.page_size(value(name.removeprefix(HUGE_PAGES)))] = amount
    return given


def oom_score_adjustment(pod: Object, container: Object, node_memory_bytes: int) -> int:
    """How gladly the kernel may kill a container when memory ends, by quality of service, as the kubelet has it.

    Of what a pod requests as a whole, each container counts its share; a sidecar is spared as long as the container
    that requests least.
    """
    spec = pod["spec"]
    quality = qos_class(spec)
    critical = spec.get("priorityClassName") == "system-node-critical"
    if critical or (spec.get("priority") or 0) >= NODE_CRITICAL_PRIORITY or quality == "Guaranteed":
        return -997
    if quality == "BestEffort":
        return 1000
    if not node_memory_bytes:
        return 999
    request_bytes = _memory_request(container) + _share_of_pod(spec)
    score = 1000 - (1000 * request_bytes) // node_memory_bytes
    if container.get("restartPolicy") == "Always" and container in (spec.get("initContainers") or ()):
        least = min(_memory_request(one) for one in spec["containers"]) + _share_of_pod(spec)
        score = min(score, 1000 - (1000 * least) // node_memory_bytes)
    return min(max(score, 3), 999)


def _memory_request(container: Object) -> int:
    request = ((container.get("resources") or {}).get("requests") or {}).get("memory")
    return value(request) if request is not None else 0


def _share_of_pod(spec: Object) -> int:
    """What the pod requests beyond its containers, by their number (KEP-2837)."""
    of_pod = ((spec.get("resources") or {}).get("requests") or {}).get("memory")
    if of_pod is None:
        return 0
    everyone = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    return max(value(of_pod) - sum(_memory_request(one) for one in everyone), 0) // len(everyone)
