"""What a verdict does to Node and Pod objects. Each effect reads the world first, and may be done twice.

Conditions, taints, reasons and messages are those of Kubernetes' node lifecycle controller; ``out-of-service``
(KEP-2268) is set with a value of our own, so that a taint that a person set is never taken away.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from picluster.api import meta
from picluster.api.errors import ApiError
from picluster.api.resources import NODES, PODS
from picluster.api.types import Object
from picluster.client import Client, PatchType
from picluster.controllers.shared import pods as judge
from picluster.util.clock import Clock

log = logging.getLogger(__name__)

OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
UNREACHABLE = "node.kubernetes.io/unreachable"
NOT_READY = "node.kubernetes.io/not-ready"
OURS = "picluster"
CONDITIONS = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
DELETIONS_MAX = 32

Taint = tuple[str, str, str]
"""``(key, value, effect)``"""

DEAD_TAINTS: frozenset[Taint] = frozenset(
    {(UNREACHABLE, "", "NoSchedule"), (UNREACHABLE, "", "NoExecute"), (OUT_OF_SERVICE, OURS, "NoExecute")}
)
UNREACHABLE_TAINTS: frozenset[Taint] = frozenset({(UNREACHABLE, "", "NoSchedule"), (UNREACHABLE, "", "NoExecute")})
AGENT_DOWN_TAINTS: frozenset[Taint] = frozenset({(UNREACHABLE, "", "NoSchedule")})
NOT_READY_TAINTS: frozenset[Taint] = frozenset({(NOT_READY, "", "NoSchedule"), (NOT_READY, "", "NoExecute")})
CORDONED: Taint = ("node.kubernetes.io/unschedulable", "", "NoSchedule")
PRESSURE: dict[str, Taint] = {
    "MemoryPressure": ("node.kubernetes.io/memory-pressure", "", "NoSchedule"),
    "DiskPressure": ("node.kubernetes.io/disk-pressure", "", "NoSchedule"),
    "PIDPressure": ("node.kubernetes.io/pid-pressure", "", "NoSchedule"),
    "NetworkUnavailable": ("node.kubernetes.io/network-unavailable", "", "NoSchedule"),
}
MANAGED: frozenset[Taint] = DEAD_TAINTS | NOT_READY_TAINTS | {CORDONED, *PRESSURE.values()}


def pressure_taints(node: Object) -> frozenset[Taint]:
    """Taints that follow from a node's own conditions other than Ready, and from its being cordoned. PURE."""
    wanted = {taint for kind, taint in PRESSURE.items() if meta.condition_is(node, kind)}
    if (node.get("spec") or {}).get("unschedulable"):
        wanted.add(CORDONED)
    return frozenset(wanted)


def is_given_up_for_dead(node: Object) -> bool:
    """Whether it was this controller that put the node out of service. PURE."""
    taints = (node.get("spec") or {}).get("taints") or ()
    return any(taint["key"] == OUT_OF_SERVICE and taint.get("value") == OURS for taint in taints)


def with_taints(taints: Iterable[Object], wanted: frozenset[Taint], now: str) -> list[Object]:
    """``taints`` with exactly ``wanted`` of those that are ours to manage; one that stays keeps its ``timeAdded``.
    PURE."""
    kept, have = [], set()
    for taint in taints:
        identity = (taint["key"], taint.get("value") or "", taint["effect"])
        if identity not in MANAGED or identity in wanted:
            kept.append(taint)
            have.add(identity)
    for key, value, effect in sorted(wanted - have):
        added = {"timeAdded": now} if effect == "NoExecute" else {}
        kept.append({"key": key, **({"value": value} if value else {}), "effect": effect, **added})
    return kept


class Effects:
    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._slots = asyncio.Semaphore(DELETIONS_MAX)

    async def set_taints(self, node: Object, wanted: frozenset[Taint]) -> bool:
        """Bring the node's managed taints to ``wanted``; whether anything changed."""
        now = meta.now_rfc3339(self._clock.now())
        before = (node.get("spec") or {}).get("taints") or []
        after = with_taints(before, wanted, now)
        if after == before:
            return False
        patch = {
            "metadata": {"resourceVersion": node["metadata"]["resourceVersion"]},
            "spec": {"taints": after or None},
        }
        await self._client.patch(NODES, node["metadata"]["name"], patch, kind=PatchType.MERGE)
        return True

    async def mark_unknown(self, node: Object) -> bool:
        """Conditions that only the node could vouch for become Unknown; whether anything changed."""
        now = meta.now_rfc3339(self._clock.now())
        conditions = [dict(entry) for entry in (node.get("status") or {}).get("conditions") or []]
        changed = False
        for kind in CONDITIONS:
            known = next((entry for entry in conditions if entry.get("type") == kind), None)
            if known is None:
                known = {"type": kind, "lastHeartbeatTime": node["metadata"].get("creationTimestamp")}
                known |= {"reason": "NodeStatusNeverUpdated", "message": "Kubelet never posted node status."}
                conditions.append(known)
            elif known.get("status") == "Unknown":
                continue
            else:
                known |= {"reason": "NodeStatusUnknown", "message": "Kubelet stopped posting node status."}
            known |= {"status": "Unknown", "lastTransitionTime": now}
            changed = True
        if changed:
            patch = {"status": {"conditions": conditions}}
            name = node["metadata"]["name"]
            await self._client.patch(NODES, name, patch, kind=PatchType.MERGE, subresource="status")
        return changed

    async def mark_pods_not_ready(self, pods: Iterable[Object]) -> None:
        """Take the pods of a silent node out of their Services."""
        await asyncio.gather(*(self._mark_not_ready(pod) for pod in pods if judge.is_ready(pod)))

    async def remove_pods(self, pods: Iterable[Object]) -> int:
        """Delete pods that nothing runs any more, by force and each only as the object it was seen as; how many."""
        return sum(await asyncio.gather(*(self._remove(pod) for pod in pods)))

    async def _mark_not_ready(self, pod: Object) -> None:
        now = meta.now_rfc3339(self._clock.now())
        condition = {"type": "Ready", "status": "False", "reason": "NodeNotReady", "lastTransitionTime": now}
        metadata = pod["metadata"]
        patch = {"metadata": {"uid": metadata["uid"]}, "status": {"conditions": [condition]}}
        async with self._slots:
            try:
                await self._client.patch(
                    PODS,
                    metadata["name"],
                    patch,
                    namespace=metadata["namespace"],
                    kind=PatchType.STRATEGIC,
                    subresource="status",
                )
            except ApiError as error:
                if error.code not in (404, 409):
                    raise

    async def _remove(self, pod: Object) -> bool:
        metadata = pod["metadata"]
        async with self._slots:
            try:
                await self._client.delete(
                    PODS, metadata["name"], namespace=metadata["namespace"], uid=metadata["uid"], grace_period_s=0
                )
            except ApiError as error:
                if error.code not in (404, 409):
                    raise
                return False
        return True
