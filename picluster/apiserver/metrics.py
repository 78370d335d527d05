"""The API server's metrics, by Kubernetes' names where it has the same.

What every request changes is plain numbers (``requestfigures``); what can be read from what is there anyway is read
when somebody asks (``add``); the rest, rare enough, are the library's counters, made in ``registry`` by whose they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from picluster.apiserver.cache.collection import Collection
from picluster.apiserver.cache.watchcache import WatchCache
from picluster.apiserver.requestfigures import LABELS, Key, RequestFigures, key_of, labels_of
from picluster.apiserver.requestinfo import RequestInfo
from picluster.storage.backend import Backend
from picluster.util.timings import LATENCY_BUCKETS_S, Timings


class Metrics:
    """One set per server; ``render`` is the body of ``/metrics``."""

    def __init__(self, cache: WatchCache) -> None:
        self.registry = CollectorRegistry()
        self.requests = RequestFigures()
        self._cache_figures = CacheCollector(cache)
        self._timings: list[Timings] = []
        self.store_seconds = Timings(
            "picluster_store_write_seconds", "Time from a write to its acknowledged commit.", ("operation",)
        )
        self.add_timings(self.store_seconds)
        self.registry.register(self._cache_figures)
        ProcessCollector(registry=self.registry)
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.flow_wait_seconds = Histogram(
            "apiserver_flowcontrol_request_wait_duration_seconds",
            "Time that requests waited in a queue of their priority level.",
            ("priority_level", "flow_schema", "execute"),
            buckets=LATENCY_BUCKETS_S,
            registry=self.registry,
        )
        self._terminations = Counter(
            "apiserver_request_terminations_total",
            "Requests that were ended to protect the server.",
            (*LABELS, "code"),
            registry=self.registry,
        )
        self.stale_tokens = Counter(
            "serviceaccount_stale_tokens_total",
            "Uses of service account tokens after the time at which they should have been renewed.",
            registry=self.registry,
        )
        self.audit_events = Counter(
            "apiserver_audit_event_total", "Audit events written to the log.", registry=self.registry
        )
        self.audit_errors = Counter(
            "apiserver_audit_error_total",
            "Audit events that were dropped: the queue was full, or the log could not be written.",
            ("plugin",),
            registry=self.registry,
        )

    @contextmanager
    def long_running(self, info: RequestInfo) -> Iterator[None]:
        """Around a request that lasts as long as its client wants, other than a watch."""
        counts, labels = self._cache_figures.streams, labels_of(key_of(info)._replace(verb="proxy"))
        counts[labels] = counts.get(labels, 0) + 1
        try:
            yield
        finally:
            counts[labels] -= 1
            if not counts[labels]:
                del counts[labels]

    def terminated(self, key: Key, code: int) -> None:
        """A request that was ended to protect the server, or itself."""
        self._terminations.labels(*labels_of(key), str(code)).inc()

    def add(self, collector: Collector) -> None:
        """Show also what ``collector`` reads when somebody asks."""
        self.registry.register(collector)

    def add_timings(self, timings: Timings) -> None:
        self._timings.append(timings)

    def render(self) -> bytes:
        text = self.requests.text() + "".join([timings.text() for timings in self._timings])
        return text.encode() + generate_latest(self.registry)


class StoreCollector(Collector):
    """How large the store is: asked when somebody asks."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def collect(self) -> Iterator[Metric]:
        family = GaugeMetricFamily("apiserver_storage_size_bytes", "Size of the store.", labels=("storage_cluster_id",))
        family.add_metric(("etcd-0",), self._backend.size_bytes)
        yield family


class DeprecatedCollector(Collector):
    """Deprecated resources that were asked for; ``deprecated`` says of a group, version and resource whether it is."""

    def __init__(self, requests: RequestFigures, deprecated: Callable[[str, str, str], bool]) -> None:
        self._requests = requests
        self._deprecated = deprecated

    def collect(self) -> Iterator[Metric]:
        family = GaugeMetricFamily(
            "apiserver_requested_deprecated_apis", "Deprecated resources that were asked for.",
            labels=("group", "version", "resource", "subresource", "removed_release"),
        )  # fmt: skip
        for group, version, resource, subresource in sorted(self._requests.resources()):
            if self._deprecated(group, version, resource):
                family.add_metric((group, version, resource, subresource, ""), 1)
        yield family


class CacheCollector(Collector):
    """What is read from the cache when somebody asks; ``streams`` are long requests that are no watches, by labels."""

    def __init__(self, cache: WatchCache) -> None:
        self._cache = cache
        self.streams: dict[tuple[str, ...], int] = {}

    def collect(self) -> Iterator[Metric]:
        kinds = ("group", "resource")
        objects = GaugeMetricFamily("apiserver_storage_objects", "Live objects.", labels=("resource",))
        counts = GaugeMetricFamily("apiserver_resource_objects", "Live objects.", labels=kinds)
        history = GaugeMetricFamily("picluster_watch_history_events", "Changes kept.", labels=("resource",))
        sent = CounterMetricFamily(
            "apiserver_watch_events", "Events sent to watches.", labels=("group", "version", "resource")
        )
        dropped = CounterMetricFamily("apiserver_terminated_watchers", "Watches that were too slow.", labels=kinds)
        for name, collection in self._cache.collections.items():
            resource = collection.resource
            kind = (resource.group, resource.plural)
            objects.add_metric((name,), len(collection))
            counts.add_metric(kind, len(collection))
            history.add_metric((name,), len(collection.history))
            if collection.sent:
                sent.add_metric((resource.group, resource.version, resource.plural), collection.sent)
            if collection.dropped:
                dropped.add_metric(kind, collection.dropped)
        yield from (objects, counts, history, sent, dropped, self._watches())
        yield GaugeMetricFamily("picluster_store_revision", "The last applied revision.", self._cache.revision)

    def _watches(self) -> Metric:
        family = GaugeMetricFamily("apiserver_longrunning_requests", "Watches and streams being served.", labels=LABELS)
        for labels, count in self.streams.items():
            family.add_metric(labels, count)
        for collection in self._cache.collections.values():
            for labels, count in _watches_of(collection).items():
                family.add_metric(labels, count)
        return family


def _watches_of(collection: Collection) -> dict[tuple[str, ...], int]:
    """How many watches of one resource there are, by labels; the version is that in which objects are stored."""
    resource, found = collection.resource, dict[tuple[str, ...], int]()
    for watcher in collection.watchers:
        selection = watcher.selection
        key = Key(
            "watch", resource.group, resource.version, resource.plural, "", bool(selection.key),
            bool(selection.namespace),
        )  # fmt: skip
        labels = labels_of(key)
        found[labels] = found.get(labels, 0) + 1
    return found
