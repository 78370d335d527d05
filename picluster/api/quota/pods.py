"""What a pod uses. Source: ``pods.go`` in ``pkg/quota/v1/evaluator/core``."""

from __future__ import annotations

from collections.abc import Iterable

from picluster.api.meta import parse_time
from picluster.api.podresources import pod_limits, pod_requests, qos_class
from picluster.api.quantity import NANO
from picluster.api.quota.amounts import Amounts
from picluster.api.types import Object

COMPUTE = ("cpu", "memory", "ephemeral-storage")
MUST_SAY = ("cpu", "limits.cpu", "limits.memory", "memory", "requests.cpu", "requests.memory")
_FINISHED = ("Succeeded", "Failed")


def usage(pod: Object, now_s: float) -> Amounts:
    """Pods that have finished, or should have, count as objects only."""
    if _is_over(pod, now_s):
        return {}
    return {"pods": NANO, **_compute(pod_requests(pod["spec"]), pod_limits(pod["spec"]))}


def in_scope(wanted: Object, pod: Object) -> bool:
    spec, scope = pod["spec"], wanted["scopeName"]
    match scope:
        case "Terminating":
            return spec.get("activeDeadlineSeconds") is not None
        case "NotTerminating":
            return spec.get("activeDeadlineSeconds") is None
        case "BestEffort":
            return qos_class(spec) == "BestEffort"
        case "NotBestEffort":
            return qos_class(spec) != "BestEffort"
        case "PriorityClass":
            return selected(wanted, spec.get("priorityClassName", ""))
        case "CrossNamespacePodAffinity":
            return _crosses_namespaces(spec)
        case _:
            return False


def selected(wanted: Object, value: str) -> bool:
    """A scope's requirement on a name, empty for none."""
    values = wanted.get("values") or ()
    match wanted.get("operator"):
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "DoesNotExist":
            return not value
        case _:
            return bool(value)


def missing(pod: Object, hard: Iterable[str]) -> str:
    wanted = sorted(set(hard) & set(MUST_SAY))
    spec = pod["spec"]
    if not wanted or spec.get("resources"):
        return ""
    lacking: dict[str, list[str]] = {}
    for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
        resources = container.get("resources") or {}
        said = {*_names(resources.get("requests") or {}, "requests"), *_names(resources.get("limits") or {}, "limits")}
        for name in wanted:
            if name not in said:
                lacking.setdefault(name, []).append(container["name"])
    return "; ".join(f"{name} for: {','.join(sorted(names))}" for name, names in sorted(lacking.items()))


def _compute(requests: Amounts, limits: Amounts) -> Amounts:
    used: Amounts = {}
    for name, amount in requests.items():
        if name in COMPUTE or name.startswith("hugepages-"):
            used[name] = used[f"requests.{name}"] = amount
        elif "/" in name and not name.partition("/")[0].endswith("kubernetes.io"):
            used[f"requests.{name}"] = amount
    for name in COMPUTE:
        if name in limits:
            used[f"limits.{name}"] = limits[name]
    return used


def _names(amounts: Object, kind: str) -> Iterable[str]:
    for name in amounts:
        yield f"{kind}.{name}"
        if kind == "requests":
            yield name


def _is_over(pod: Object, now_s: float) -> bool:
    if (pod.get("status") or {}).get("phase") in _FINISHED:
        return True
    metadata = pod["metadata"]
    if not metadata.get("deletionTimestamp") or metadata.get("deletionGracePeriodSeconds") is None:
        return False
    return now_s > parse_time(metadata["deletionTimestamp"])


def _crosses_namespaces(spec: Object) -> bool:
    affinity = spec.get("affinity") or {}
    terms: list[Object] = []
    for kind in ("podAffinity", "podAntiAffinity"):
        rules = affinity.get(kind) or {}
        terms += rules.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
        preferred = rules.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        terms += [one["podAffinityTerm"] for one in preferred]
    return any(term.get("namespaces") or term.get("namespaceSelector") is not None for term in terms)
