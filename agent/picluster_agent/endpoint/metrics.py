"""``/metrics``: the process's own metrics, and what runs here under the kubelet's names."""

from __future__ import annotations

from collections import Counter

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from picluster_agent.endpoint.lookup import Lookup
from picluster_agent.sync.model import State


class Metrics:
    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_get("/metrics", self._metrics)

    async def _metrics(self, _: web.Request) -> web.Response:
        """The process's own metrics, and what runs here under the kubelet's names."""
        pods = [self._lookup.seen(worker.context.uid) for worker in self._lookup.pods.workers()]
        states = Counter(one.state.value for seen in pods for one in seen)
        running = [seen for seen in pods if any(one.running for one in seen)]
        registry = CollectorRegistry()
        Gauge("kubelet_running_pods", "Pods with a running container", registry=registry).set(len(running))
        containers = Gauge("kubelet_running_containers", "Containers by state", ["container_state"], registry=registry)
        for state in State:
            containers.labels(state.value).set(states[state.value])
        body = generate_latest() + generate_latest(registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})
