"""What the metrics API answers (``metrics-server/pkg/api``)."""

from __future__ import annotations

from picluster.api import errors
from picluster.api.resources import NODES, PODS
from picluster.api.types import Object
from picluster.apiserver.cache.watchcache import WatchCache
from picluster.apiserver.metricsapi import samples
from picluster.apiserver.metricsapi.rows import GROUP, NODE_METRICS, POD_METRICS
from picluster.apiserver.metricsapi.scraper import Scraper
from picluster.apiserver.registry.store import decoded
from picluster.util.clock import Clock


class MetricsService:
    """``nodes`` and ``pods`` find everything that is known, or the one of a name; raises ``ApiError`` 404 for that."""

    def __init__(self, cache: WatchCache, scraper: Scraper, clock: Clock) -> None:
        self._cache = cache
        self._scraper = scraper
        self._clock = clock

    async def nodes(self, namespace: str, name: str) -> list[Object]:
        await self._scraper.ask()
        found = []
        for node in [name] if name else sorted(self._scraper.readings):
            entry, readings = self._cache.get(NODES, "", node), self._scraper.readings.get(node)
            rate = samples.node_rate(*readings) if entry is not None and readings is not None else None
            if entry is not None and rate is not None:
                body = {"usage": samples.usage(rate)}
                metadata = decoded(entry)["metadata"]
                found.append(samples.metrics(NODE_METRICS.kind, metadata, rate, body, self._clock.now()))
        if name and not found:
            raise errors.not_found(GROUP, "nodemetrics", name)
        return found

    async def pods(self, namespace: str, name: str) -> list[Object]:
        await self._scraper.ask()
        found = []
        for before, last in list(self._scraper.readings.values()):
            for key in last.pods:
                if key[0] == (namespace or key[0]) and key[1] == (name or key[1]):
                    found += self._pod(before, last, key)
        if name and not found:
            raise errors.not_found(GROUP, "podmetrics", f"{namespace}/{name}")
        return sorted(found, key=lambda one: (one["metadata"]["namespace"], one["metadata"]["name"]))

    def _pod(self, before: samples.Reading | None, last: samples.Reading, key: samples.PodKey) -> list[Object]:
        """None or one: of a pod that is there and running."""
        entry, rates = self._cache.get(PODS, *key), samples.pod_rates(before, last, key)
        if entry is None or rates is None:
            return []
        containers = [{"name": name, "usage": samples.usage(rate)} for name, rate in rates.items()]
        oldest = min(rates.values(), key=lambda rate: rate.at_s)
        body = {"containers": containers}
        metadata = decoded(entry)["metadata"]
        return [samples.metrics(POD_METRICS.kind, metadata, oldest, body, self._clock.now())]
