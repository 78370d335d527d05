"""The API server's metrics, by Kubernetes' names where it has the same.

Children are looked up once for each combination of labels, so that a request costs two dictionary look-ups here.
"""

from __future__ import annotations

from functools import lru_cache

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from picluster.apiserver.cache.watchcache import WatchCache

LATENCY_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """One set per server; ``render`` is the body of ``/metrics``."""

    def __init__(self, cache: WatchCache) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(CacheCollector(cache))
        self._requests = Counter(
            "apiserver_request_total",
            "Requests by verb, resource and code.",
            ("verb", "group", "resource", "subresource", "code"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "apiserver_request_duration_seconds",
            "Time to answer, watches excepted.",
            ("verb", "group", "resource"),
            buckets=LATENCY_BUCKETS_S,
            registry=self._registry,
        )
        self.store_seconds = Histogram(
            "picluster_store_write_seconds",
            "Time from a write to its acknowledged commit.",
            ("operation",),
            buckets=LATENCY_BUCKETS_S,
            registry=self._registry,
        )
        self.flow_wait_seconds = Histogram(
            "apiserver_flowcontrol_request_wait_duration_seconds",
            "Time that requests waited in a queue of their priority level.",
            ("priority_level", "flow_schema", "execute"),
            buckets=LATENCY_BUCKETS_S,
            registry=self._registry,
        )
        self.stale_tokens = Counter(
            "serviceaccount_stale_tokens_total",
            "Uses of service account tokens after the time at which they should have been renewed.",
            registry=self._registry,
        )
        self.audit_events = Counter(
            "apiserver_audit_event_total", "Audit events written to the log.", registry=self._registry
        )
        self.audit_errors = Counter(
            "apiserver_audit_error_total",
            "Audit events that were dropped: the queue was full, or the log could not be written.",
            ("plugin",),
            registry=self._registry,
        )
        self._counted = lru_cache(maxsize=4096)(self._count_child)
        self._timed = lru_cache(maxsize=1024)(self._time_child)

    def observe(self, verb: str, group: str, resource: str, subresource: str, code: int, seconds: float) -> None:
        self._counted(verb, group, resource, subresource, code).inc()
        if verb != "watch":
            self._timed(verb, group, resource).observe(seconds)

    def add(self, collector: Collector) -> None:
        """Show also what ``collector`` reads when somebody asks."""
        self._registry.register(collector)

    def render(self) -> bytes:
        return generate_latest(self._registry)

    def _count_child(self, verb: str, group: str, resource: str, subresource: str, code: int) -> Counter:
        return self._requests.labels(verb.upper(), group, resource, subresource, str(code))

    def _time_child(self, verb: str, group: str, resource: str) -> Histogram:
        return self._seconds.labels(verb.upper(), group, resource)


class CacheCollector(Collector):
    """What is read from the cache when somebody asks."""

    def __init__(self, cache: WatchCache) -> None:
        self._cache = cache

    def collect(self) -> list[Metric]:
        objects = GaugeMetricFamily("apiserver_storage_objects", "Live objects.", labels=("resource",))
        watchers = GaugeMetricFamily("apiserver_longrunning_requests", "Watches being served.", labels=("resource",))
        history = GaugeMetricFamily("picluster_watch_history_events", "Changes kept.", labels=("resource",))
        for name, collection in self._cache.collections.items():
            objects.add_metric((name,), len(collection))
            watchers.add_metric((name,), len(collection.watchers))
            history.add_metric((name,), len(collection.history))
        revision = GaugeMetricFamily("picluster_store_revision", "The last applied revision.", self._cache.revision)
        return [objects, watchers, history, revision]
