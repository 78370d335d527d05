"""Doing what was decided: the binding, the events, the condition that says why not."""

from __future__ import annotations

from picluster.api import meta
from picluster.api.errors import ApiError
from picluster.api.resources import PODS
from picluster.api.types import Object
from picluster.client import Client, EventRecorder, PatchType, TransportError
from picluster.scheduler.decide import Unschedulable
from picluster.scheduler.model import PodInfo
from picluster.util.backoff import Backoff
from picluster.util.clock import Clock

COMPONENT = "default-scheduler"
RETRY_MIN_S = 0.05
RETRY_MAX_S = 1.0
SERVER_ERROR = 500


class Binder:
    def __init__(self, client: Client, recorder: EventRecorder, clock: Clock) -> None:
        self._client = client
        self._recorder = recorder
        self._clock = clock

    async def bind(self, pod: PodInfo, obj: Object, node_name: str) -> None:
        """Create the Binding; raises as the client does, and then nothing was bound (or the answer was lost)."""
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": obj["metadata"]["name"], "namespace": pod.namespace, "uid": pod.uid},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node_name},
        }
        name = obj["metadata"]["name"]
        await self._client.create(PODS, binding, namespace=pod.namespace, name=name, subresource="binding")
        self._recorder.event(obj, "Normal", "Scheduled", f"Successfully assigned {pod.key} to {node_name}")

    async def is_bound(self, pod: PodInfo) -> bool:
        """Whether the pod has a node, as the API server knows it; asks until there is an answer."""
        backoff = Backoff(RETRY_MIN_S, RETRY_MAX_S)
        namespace, _, name = pod.key.partition("/")
        while True:
            try:
                live = await self._client.get(PODS, name, namespace=namespace)
            except TransportError:
                pass
            except ApiError as error:
                if error.code < SERVER_ERROR:
                    return False
            else:
                return bool(live["metadata"]["uid"] == pod.uid and live["spec"].get("nodeName"))
            await self._clock.sleep(backoff.next_s())

    async def refuse(self, obj: Object, why: Unschedulable) -> None:
        """Say why no node takes the pod: an event, and the condition PodScheduled if it says something else."""
        await self._say(obj, "Unschedulable", why.message())

    async def fail(self, obj: Object, message: str) -> None:
        """Say that what was decided could not be done; it will be tried again."""
        await self._say(obj, "SchedulerError", message)

    async def _say(self, obj: Object, reason: str, message: str) -> None:
        self._recorder.event(obj, "Warning", "FailedScheduling", message)
        condition = {"type": "PodScheduled", "status": "False", "reason": reason, "message": message}
        for known in (obj.get("status") or {}).get("conditions") or []:
            if (
                known.get("type") == "PodScheduled"
                and known.get("status") == "False"
                and known.get("message") == message
            ):
                return
        condition["lastTransitionTime"] = meta.now_rfc3339(self._clock.now())
        metadata = obj["metadata"]
        await self._client.patch(
            PODS,
            metadata["name"],
            {"metadata": {"uid": metadata["uid"]}, "status": {"conditions": [condition]}},
            namespace=metadata["namespace"],
            kind=PatchType.STRATEGIC,
            subresource="status",
        )
