"""From requests and limits to control group settings, and to who is killed first when memory ends. Pure."""

from __future__ import annotations

from picluster.api.podresources import qos_class
from picluster.api.quantity import milli, value
from picluster.api.types import Object
from picluster_agent.podman.launch import Launch

CPU_PERIOD_US = 100_000
CPU_QUOTA_MIN_US = 1_000
CPU_SHARES_MIN = 2
CPU_SHARES_MAX = 262_144


def limits(launch: Launch) -> Object:
    """The part of the create body that bounds processors and memory."""
    resources = launch.container.get("resources") or {}
    requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
    cpu: Object = {}
    if "cpu" in limits:
        quota_us = milli(limits["cpu"]) * CPU_PERIOD_US // 1000
        if quota_us:
            cpu.update(quota=max(quota_us, CPU_QUOTA_MIN_US), period=CPU_PERIOD_US)
    wanted = requests.get("cpu", limits.get("cpu"))
    shares = milli(wanted) * 1024 // 1000 if wanted is not None else 0
    cpu["shares"] = min(max(shares, CPU_SHARES_MIN), CPU_SHARES_MAX)
    linux: Object = {"cpu": cpu}
    if "memory" in limits and (memory_bytes := value(limits["memory"])):
        linux["memory"] = {"limit": memory_bytes}
    body: Object = {"resource_limits": linux}
    adjustment = oom_score_adjustment(launch.pod, launch.container, launch.node.memory_bytes)
    if adjustment >= 0 or launch.node.may_lower_oom:
        body["oom_score_adj"] = adjustment
    return body


def oom_score_adjustment(pod: Object, container: Object, node_memory_bytes: int) -> int:
    """How gladly the kernel may kill a container when memory ends, by quality of service, as the kubelet has it."""
    quality = qos_class(pod["spec"])
    if pod["spec"].get("priorityClassName") == "system-node-critical" or quality == "Guaranteed":
        return -997
    if quality == "BestEffort":
        return 1000
    request = ((container.get("resources") or {}).get("requests") or {}).get("memory")
    request_bytes = value(request) if request is not None else 0
    score = 1000 - (1000 * request_bytes) // node_memory_bytes if node_memory_bytes else 999
    return min(max(score, 3), 999)
