"""The metrics API as part of the API server: its rows in the catalog, its role, its agents."""

from __future__ import annotations

from collections.abc import Iterator

from picluster.api.resources import CLUSTER_ROLES, NODES
from picluster.api.types import Object
from picluster.apiserver.bootstrap import ensure
from picluster.apiserver.catalog import Catalog
from picluster.apiserver.metricsapi.rows import GROUP, NODE_METRICS, POD_METRICS, ROWS, MetricsKind, definitions
from picluster.apiserver.metricsapi.scraper import Scraper
from picluster.apiserver.metricsapi.service import MetricsService
from picluster.apiserver.proxy import AgentProxy
from picluster.apiserver.registry.registry import Registry
from picluster.apiserver.registry.store import decoded

READER = "system:aggregated-metrics-reader"


class MetricsApi:
    """``install`` it before the server listens, ``start`` it with the bootstrap objects; nothing runs until asked."""

    def __init__(self, registry: Registry, agents: AgentProxy) -> None:
        self._registry = registry
        self._scraper = Scraper(self._nodes, agents, registry.clock)

    def install(self, catalog: Catalog) -> None:
        service = MetricsService(self._registry.store.cache, self._scraper, self._registry.clock)
        self._registry.kinds.update({row: MetricsKind(row) for row in ROWS})
        self._registry.virtual.update({NODE_METRICS: service.nodes, POD_METRICS: service.pods})
        catalog.set(GROUP, ROWS, definitions())

    async def start(self) -> None:
        await ensure(self._registry, CLUSTER_ROLES, reader(), ())

    async def close(self) -> None:
        await self._scraper.close()

    def _nodes(self) -> Iterator[Object]:
        entries = self._registry.store.cache.collection(NODES).entries.values()
        return (decoded(entry) for entry in list(entries))


def reader() -> Object:
    """The role that lets who may view pods see what they use (metrics-server's manifests have it)."""
    labels = {f"rbac.authorization.k8s.io/aggregate-to-{role}": "true" for role in ("admin", "edit", "view")}
    rule = {"apiGroups": [GROUP], "resources": ["pods", "nodes"], "verbs": ["get", "list", "watch"]}
    return {"metadata": {"name": READER, "labels": labels}, "rules": [rule]}
