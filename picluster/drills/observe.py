"""Following the cluster through the API while it heals, by watches, so that a phase is seen within milliseconds.

What a phase means is pure (``World.reached``); the informers only keep the world up to date.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from picluster.api.resources import ENDPOINT_SLICES, NODES, PODS
from picluster.api.types import Object
from picluster.client.informer import Informer
from picluster.client.transport import Client
from picluster.util.clock import Clock
from picluster.util.tasks import Tasks

SERVICE_NAME_LABEL = "kubernetes.io/service-name"


@dataclass(frozen=True, slots=True)
class World:
    """The victim's Node, the Service's EndpointSlices, and the pods that its selector matches."""

    victim: str
    node: Object | None
    slices: tuple[Object, ...]
    pods: tuple[Object, ...]

    def ready_endpoints(self, node_name: str) -> int:
        """How many ready endpoints of the Service are on ``node_name``."""
        return sum(
            endpoint.get("nodeName") == node_name and (endpoint.get("conditions") or {}).get("ready") is not False
            for piece in self.slices
            for endpoint in piece.get("endpoints") or []
        )

    def node_is_ready(self) -> bool:
        """Ready, and nothing keeps pods away from it: the end of a recovery."""
        if self.node is None or (self.node.get("spec") or {}).get("taints"):
            return False
        return condition(self.node, "Ready")

    def pods_elsewhere(self) -> list[Object]:
        """Pods that live on other nodes than the victim."""
        return [
            pod
            for pod in self.pods
            if pod["spec"].get("nodeName") not in (None, "", self.victim)
            and not pod["metadata"].get("deletionTimestamp")
            and (pod.get("status") or {}).get("phase") not in ("Failed", "Succeeded")
        ]

    def reached(self, replicas: int) -> dict[str, bool]:
        """Which phases of healing hold now, for a workload that had ``replicas`` ready pods before."""
        elsewhere = self.pods_elsewhere()
        detected = self.node is None or not condition(self.node, "Ready")
        return {
            "detected_s": detected,
            "endpoint_removed_s": self.ready_endpoints(self.victim) == 0,
            "replacement_bound_s": len(elsewhere) >= replicas,
            "replacement_ready_s": sum(condition(pod, "Ready") for pod in elsewhere) >= replicas,
        }


def condition(obj: Object, kind: str) -> bool:
    """Whether the condition ``kind`` of ``obj`` is True."""
    conditions = (obj.get("status") or {}).get("conditions") or []
    return any(entry["type"] == kind and entry["status"] == "True" for entry in conditions)


def selector_of(service: Object) -> str:
    """The label selector string of a Service's pods."""
    return ",".join(f"{key}={value}" for key, value in sorted((service["spec"].get("selector") or {}).items()))


class Observer:
    """Keeps a ``World`` up to date and calls ``on_change(world, at_s)`` after each change."""

    def __init__(
        self, client: Client, clock: Clock, service: Object, victim: str, on_change: Callable[[World, float], None]
    ) -> None:
        namespace, name = service["metadata"]["namespace"], service["metadata"]["name"]
        self._clock = clock
        self._victim = victim
        self._on_change = on_change
        self._nodes = Informer(client, NODES, field_selector=f"metadata.name={victim}")
        self._slices = Informer(
            client, ENDPOINT_SLICES, namespace=namespace, label_selector=f"{SERVICE_NAME_LABEL}={name}"
        )
        self._pods = Informer(client, PODS, namespace=namespace, label_selector=selector_of(service))
        self._tasks = Tasks("drill-observer")

    async def start(self) -> None:
        for informer in self._informers():
            informer.add_handler(self._changed)
            self._tasks.spawn(informer.run(), "informer")
        for informer in self._informers():
            await informer.wait_synced()

    async def close(self) -> None:
        await self._tasks.close()

    def world(self) -> World:
        return World(
            self._victim, self._nodes.get(self._victim), tuple(self._slices.values()), tuple(self._pods.values())
        )

    def _informers(self) -> Iterable[Informer]:
        return (self._nodes, self._slices, self._pods)

    def _changed(self, old: Object | None, new: Object | None) -> None:
        self._on_change(self.world(), self._clock.monotonic())
