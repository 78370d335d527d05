"""Pod garbage collection: pods that nobody will ever finish (``pkg/controller/podgc``).

Pods of nodes that are gone, terminating pods that never got a node, terminating pods on nodes that are out of service,
and the oldest finished pods beyond a number. The first three are removed by force, because no agent will answer for
them; a pod of an absent node only after its node has been absent for a while and the API server says so too.
"""

from __future__ import annotations

import enum
import logging
from collections.abc import Iterable

from picluster.api.errors import ApiError
from picluster.api.meta import condition_is, key_of, now_rfc3339, set_condition
from picluster.api.resources import NODES, PODS
from picluster.api.types import Object
from picluster.client import PatchType
from picluster.controllers.shared import indexes, pods
from picluster.runtime import Controller, Manager

log = logging.getLogger(__name__)

OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
QUARANTINE_S = 40.0
CHECK_S = 20.0
FINISHED_MAX = 12_500


class Verdict(enum.Enum):
    KEEP = enum.auto()
    ORPHANED = enum.auto()
    OUT_OF_SERVICE = enum.auto()
    UNSCHEDULED = enum.auto()


def verdict(pod: Object, node: Object | None) -> Verdict:
    """What is to become of ``pod``; ``node`` is the one it is bound to, ``None`` when there is none of that name."""
    terminating = pods.is_terminating(pod)
    if not pods.node_name(pod):
        return Verdict.UNSCHEDULED if terminating else Verdict.KEEP
    if node is None:
        return Verdict.ORPHANED
    if terminating and is_out_of_service(node):
        return Verdict.OUT_OF_SERVICE
    return Verdict.KEEP


def is_out_of_service(node: Object) -> bool:
    """Tainted so, and not Ready: then nothing runs there any more."""
    taints = (node.get("spec") or {}).get("taints") or ()
    return any(taint.get("key") == OUT_OF_SERVICE for taint in taints) and not condition_is(node, "Ready")


def surplus(finished: Iterable[Object], finished_max: int) -> list[Object]:
    """The finished pods beyond ``finished_max``: evicted ones first, then the oldest."""

    def order(pod: Object) -> tuple[bool, str, str]:
        evicted = (pod.get("status") or {}).get("reason") == "Evicted"
        return not evicted, pod["metadata"].get("creationTimestamp") or "", key_of(pod)

    ranked = sorted(finished, key=order)
    return ranked[: max(0, len(ranked) - finished_max)]


class PodGarbageCollector(Controller):
    name = "pod-garbage-collector-controller"
    workers = 8

    def setup(self, manager: Manager) -> None:
        self._pods = manager.informer(PODS)
        self._nodes = manager.informer(NODES)
        self._absent_since_s: dict[str, float] = {}
        indexes.by_node(self._pods)
        self._pods.add_handler(self._on_pod)
        self._nodes.add_handler(self._on_node)

    def _node_of(self, pod: Object) -> Object | None:
        return self._nodes.get(pods.node_name(pod))

    def _on_pod(self, old: Object | None, new: Object | None) -> None:
        if new is not None and verdict(new, self._node_of(new)) is not Verdict.KEEP:
            self.queue.add(key_of(new))

    def _on_node(self, old: Object | None, new: Object | None) -> None:
        if new is not None:
            self._absent_since_s.pop(new["metadata"]["name"], None)
        node = new if new is not None else old
        assert node is not None
        if new is None or is_out_of_service(new):
            for pod in self._pods.index(indexes.NODE, node["metadata"]["name"]):
                self.queue.add(key_of(pod))

    async def reconcile(self, key: str) -> float | None:
        pod = self._pods.get(key)
        if pod is None:
            return None
        match verdict(pod, self._node_of(pod)):
            case Verdict.ORPHANED:
                if wait_s := await self._still_quarantined_s(pods.node_name(pod)):
                    return wait_s
                if pods.node_name(pod) in self._absent_since_s:
                    await self._fail_and_delete(pod, "PodGC: node no longer exists")
            case Verdict.OUT_OF_SERVICE | Verdict.UNSCHEDULED:
                await self._fail_and_delete(pod, None)
            case Verdict.KEEP:
                pass
        return None

    async def _still_quarantined_s(self, node_name: str) -> float:
        """How long the node must still be absent; 0 when it has been long enough and the server agrees."""
        now_s = self.clock.monotonic()
        left_s = self._absent_since_s.setdefault(node_name, now_s) + QUARANTINE_S - now_s
        if left_s > 0:
            return left_s
        try:
            await self.client.get(NODES, node_name)
        except ApiError as error:
            if error.code != 404:
                raise
        else:
            self._absent_since_s.pop(node_name, None)
        return 0.0

    async def _fail_and_delete(self, pod: Object, disruption: str | None) -> None:
        log.info("pod %s is removed by force: %s", key_of(pod), disruption or "it will not end by itself")
        if not pods.is_finished(pod):
            await self._fail(pod, disruption)
        await self._delete(pod, grace_period_s=0)

    async def _fail(self, pod: Object, disruption: str | None) -> None:
        """So that whoever counts failures sees one, and not a pod that just vanished."""
        metadata = pod["metadata"]
        status: Object = {"phase": "Failed"}
        if disruption is not None:
            noted = list((pod.get("status") or {}).get("conditions") or ())
            target = {
                "type": "DisruptionTarget",
                "status": "True",
                "reason": "DeletionByPodGC",
                "message": disruption,
            }
            set_condition(noted, target, now_rfc3339(self.clock.now()))
            status["conditions"] = [condition for condition in noted if condition.get("type") == "DisruptionTarget"]
        patch = {"metadata": {"uid": metadata["uid"]}, "status": status}
        try:
            await self.client.patch(
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

    async def _delete(self, pod: Object, *, grace_period_s: int) -> None:
        metadata = pod["metadata"]
        try:
            await self.client.delete(
                PODS,
                metadata["name"],
                namespace=metadata["namespace"],
                uid=metadata["uid"],
                grace_period_s=grace_period_s,
            )
        except ApiError as error:
            if error.code not in (404, 409):
                raise

    async def background(self) -> None:
        """Finished pods pile up slowly: they are counted now and then."""
        while True:
            finished = [pod for pod in self._pods.values() if pods.is_finished(pod)]
            for pod in surplus(finished, FINISHED_MAX):
                await self._delete(pod, grace_period_s=0)
            known = {pods.node_name(pod) for pod in self._pods.values()}
            for node_name in set(self._absent_since_s) - known:
                del self._absent_since_s[node_name]
            await self.clock.sleep(CHECK_S)
