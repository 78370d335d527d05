"""Judgements on one pod, as ``k8s.io/kubernetes/pkg/api/v1/pod`` and ``pkg/controller`` make them. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from picluster.api.meta import parse_time
from picluster.api.types import Object


def is_terminating(pod: Object) -> bool:
    return bool(pod["metadata"].get("deletionTimestamp"))


def phase(pod: Object) -> str:
    return str((pod.get("status") or {}).get("phase") or "Pending")


def is_finished(pod: Object) -> bool:
    return phase(pod) in ("Succeeded", "Failed")


def is_active(pod: Object) -> bool:
    """Neither finished nor on its way out: what a ReplicaSet counts."""
    return not is_terminating(pod) and not is_finished(pod)


def is_terminating_still(pod: Object) -> bool:
    """On its way out and not finished: what ``terminatingReplicas`` counts."""
    return is_terminating(pod) and not is_finished(pod)


def ready_condition(pod: Object) -> Object | None:
    for condition in (pod.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "Ready":
            found: Object = condition
            return found
    return None


def is_ready(pod: Object) -> bool:
    condition = ready_condition(pod)
    return condition is not None and condition.get("status") == "True"


def ready_since_s(pod: Object) -> float | None:
    """When the pod became ready (seconds since the epoch); ``None`` while it is not, or when nobody noted it."""
    condition = ready_condition(pod)
    if condition is None or condition.get("status") != "True" or not condition.get("lastTransitionTime"):
        return None
    return parse_time(condition["lastTransitionTime"])


def is_available(pod: Object, min_ready_s: int, now_s: float) -> bool:
    """Ready, and for at least ``min_ready_s``."""
    if not is_ready(pod):
        return False
    if min_ready_s == 0:
        return True
    since_s = ready_since_s(pod)
    return since_s is not None and since_s + min_ready_s <= now_s


def labels(obj: Object) -> Mapping[str, str]:
    found: Mapping[str, str] = obj["metadata"].get("labels") or {}
    return found


def node_name(pod: Object) -> str:
    return str((pod.get("spec") or {}).get("nodeName") or "")


def max_restarts(pod: Object) -> int:
    return max(
        (int(c.get("restartCount") or 0) for c in (pod.get("status") or {}).get("containerStatuses") or ()), default=0
    )
