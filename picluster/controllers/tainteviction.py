"""Taints of effect NoExecute: who does not tolerate one is deleted, who tolerates it for a time after that time.

Behaviour and events are those of Kubernetes' taint eviction controller. Deletion is graceful: on a node that is only
unreachable the pod stays Terminating until its agent confirms, so a stateful pod waits and never runs twice.
"""

from __future__ import annotations

from collections.abc import Iterable

from picluster.api.errors import ApiError
from picluster.api.meta import key_of, parse_time
from picluster.api.resources import NODES, PODS
from picluster.api.tolerations import bears
from picluster.api.types import Object
from picluster.controllers.shared import indexes, pods
from picluster.runtime import Controller, Manager


def due_s(pod: Object, taints: Iterable[Object]) -> float | None:
    """When ``pod`` must go, in seconds since the epoch: 0 for at once, ``None`` for never. PURE."""
    times = [_bears_until_s(pod, taint) for taint in taints if taint["effect"] == "NoExecute"]
    return min((time_s for time_s in times if time_s is not None), default=None)


def _bears_until_s(pod: Object, taint: Object) -> float | None:
    tolerations = [t for t in pod["spec"].get("tolerations") or [] if bears(t, taint)]
    if not tolerations:
        return 0.0
    periods = [toleration.get("tolerationSeconds") for toleration in tolerations]
    bounded = [period for period in periods if period is not None]
    if not bounded:
        return None
    added = taint.get("timeAdded")
    since_s = parse_time(added) if added else 0.0
    return since_s + max(int(min(bounded)), 0)


class TaintEvictionController(Controller):
    name = "taint-eviction-controller"
    workers = 4

    def setup(self, manager: Manager) -> None:
        self._nodes = manager.informer(NODES)
        self._pods = manager.informer(PODS)
        indexes.by_node(self._pods)
        self._pods.add_handler(self._on_pod)
        self._nodes.add_handler(self._on_node)

    def _on_pod(self, old: Object | None, new: Object | None) -> None:
        if new is not None and self._taints(pods.node_name(new)):
            self.queue.add(key_of(new))

    def _on_node(self, old: Object | None, new: Object | None) -> None:
        if new is not None and (old is None or _executing(old) != _executing(new)):
            for pod in self._pods.index(indexes.NODE, new["metadata"]["name"]):
                self.queue.add(key_of(pod))

    def _taints(self, node_name: str) -> list[Object]:
        node = self._nodes.get(node_name) if node_name else None
        return _executing(node) if node is not None else []

    async def reconcile(self, key: str) -> float | None:
        pod = self._pods.get(key)
        if pod is None or pods.is_terminating(pod):
            return None
        at_s = due_s(pod, self._taints(pods.node_name(pod)))
        if at_s is None:
            return None
        left_s = at_s - self.clock.now()
        if left_s > 0:
            return left_s
        metadata = pod["metadata"]
        self.recorder.event(pod, "Normal", "TaintManagerEviction", f"Marking for deletion Pod {key}")
        try:
            await self.client.delete(PODS, metadata["name"], namespace=metadata["namespace"], uid=metadata["uid"])
        except ApiError as error:
            if error.code not in (404, 409):
                raise
        return None


def _executing(node: Object) -> list[Object]:
    return [taint for taint in (node.get("spec") or {}).get("taints") or [] if taint["effect"] == "NoExecute"]
