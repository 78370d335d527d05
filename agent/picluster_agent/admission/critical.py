"""Pods that the node cannot do without, and who must make room for them (``pkg/kubelet/preemption``). PURE.

The fewest pods go, best-effort ones first, then burstable ones, then guaranteed ones; among equals the one that
requests least.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from picluster.api.podresources import pod_requests, qos_class
from picluster.api.types import Object

SYSTEM_CRITICAL_PRIORITY = 2_000_000_000
SOURCE = "kubernetes.io/config.source"
MIRROR = "kubernetes.io/config.mirror"

Needs = Mapping[str, int]
"""What is missing, in nanos by resource; pods are counted as resource ``pods``."""


class NotEnough(Exception):
    """No set of pods frees what is missing; the message is the kubelet's."""


def is_static(pod: Object) -> bool:
    source = (pod["metadata"].get("annotations") or {}).get(SOURCE)
    return source is not None and source != "api"


def is_critical(pod: Object) -> bool:
    """Static pods, their mirrors, and pods of the system's priority classes."""
    mirror = MIRROR in (pod["metadata"].get("annotations") or {})
    return is_static(pod) or mirror or (pod["spec"].get("priority") or 0) >= SYSTEM_CRITICAL_PRIORITY


def preemptable(preemptor: Object, other: Object) -> bool:
    if is_critical(preemptor) and not is_critical(other):
        return True
    return (preemptor["spec"].get("priority") or 0) > (other["spec"].get("priority") or 0)


def to_preempt(pod: Object, others: Sequence[Object], missing: Needs) -> list[Object]:
    """The pods that must go for ``pod``; raises ``NotEnough``."""
    classes: dict[str, list[Object]] = {"BestEffort": [], "Burstable": [], "Guaranteed": []}
    for other in others:
        if preemptable(pod, other):
            classes[qos_class(other["spec"])].append(other)
    best, burst, sure = classes.values()
    if unable := _left(missing, [*best, *burst, *sure]):
        raise _not_enough(unable)
    sure_go = _nearest(sure, _left(missing, [*best, *burst]))
    burst_go = _nearest(burst, _left(missing, [*best, *sure_go]))
    best_go = _nearest(best, _left(missing, [*burst_go, *sure_go]))
    return [*best_go, *burst_go, *sure_go]


def _nearest(pods: Sequence[Object], missing: Needs) -> list[Object]:
    """Take the pod that leaves least missing, again and again."""
    left, chosen = list(pods), []
    while missing:
        if not left:
            raise _not_enough(missing)
        needs = missing
        best = min(left, key=lambda pod: (_distance(needs, pod), _request(pod, "memory"), _request(pod, "cpu")))
        left.remove(best)
        chosen.append(best)
        missing = _left(missing, [best])
    return chosen


def _distance(missing: Needs, pod: Object) -> float:
    rests = ((amount, amount - _request(pod, name)) for name, amount in missing.items())
    return sum((rest / amount) ** 2 for amount, rest in rests if rest > 0)


def _left(missing: Needs, pods: Sequence[Object]) -> dict[str, int]:
    rest = {name: amount - sum(_request(pod, name) for pod in pods) for name, amount in missing.items()}
    return {name: amount for name, amount in rest.items() if amount > 0}


def _request(pod: Object, name: str) -> int:
    return 1_000_000_000 if name == "pods" else pod_requests(pod["spec"]).get(name, 0)


def _not_enough(missing: Needs) -> NotEnough:
    listed = "".join(f"(res: {name}, q: {shown(name, amount)}), " for name, amount in missing.items())
    why = f"no set of running pods found to reclaim resources: [{listed}]"
    return NotEnough(f"preemption: error finding a set of pods to preempt: {why}")


def shown(name: str, nano: int) -> int:
    """As the kubelet counts: processors in thousandths, the rest in whole units, rounded up."""
    return -(-nano // (1_000_000 if name == "cpu" else 1_000_000_000))
