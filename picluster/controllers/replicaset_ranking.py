"""Which pods a ReplicaSet gives up first when it has too many: ``ActivePodsWithRanks`` of Kubernetes. Pure.

In order: not on a node, not running, not ready, a lower ``controller.kubernetes.io/pod-deletion-cost``, more fellows on
the same node, ready for less time, more restarts, younger. Times are compared by the power of two of their age, so that
pods of about one age fall in the arbitrary order of their uids, not all of the last roll-out first.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from picluster.api.meta import parse_time
from picluster.api.types import Object
from picluster.controllers.shared.pods import is_active, is_ready, max_restarts, node_name, phase, ready_since_s

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
PHASE_ORDER = {"Pending": 0, "Unknown": 1, "Running": 2}
ALWAYS = -math.inf

SortKey = tuple[float | str, ...]


def pods_to_delete(pods: Sequence[Object], related: Iterable[Object], count: int, now_s: float) -> list[Object]:
    """The ``count`` of ``pods`` to delete; ``related`` are the pods of all ReplicaSets of the same owner."""
    if count >= len(pods):
        return list(pods)
    per_node = Counter(node_name(pod) for pod in related if is_active(pod))
    return sorted(pods, key=lambda pod: _order(pod, per_node[node_name(pod)], now_s))[:count]


def deletion_cost(pod: Object) -> int:
    """The annotation's value; 0 without one or with one that is no 32-bit integer."""
    text = (pod["metadata"].get("annotations") or {}).get(DELETION_COST, "0")
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal()) or (digits != "0" and digits.startswith("0")):
        return 0
    cost = int(text)
    return cost if -(2**31) <= cost < 2**31 else 0


def _order(pod: Object, fellows: int, now_s: float) -> SortKey:
    ready = is_ready(pod)
    ready_bucket = _age_bucket(ready_since_s(pod), now_s) if ready else ALWAYS
    created = pod["metadata"].get("creationTimestamp")
    return (
        bool(node_name(pod)),
        PHASE_ORDER.get(phase(pod), 2),
        ready,
        deletion_cost(pod),
        -fellows,
        ready_bucket,
        -max_restarts(pod),
        _age_bucket(parse_time(created) if created else None, now_s),
        pod["metadata"].get("uid", ""),
    )


def _age_bucket(since_s: float | None, now_s: float) -> float:
    """The power of two of the age in nanoseconds; a time that nobody noted counts as the youngest."""
    if since_s is None:
        return ALWAYS
    age_ns = (now_s - since_s) * 1e9
    return math.floor(math.log2(age_ns)) if age_ns >= 1 else -1
