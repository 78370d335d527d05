"""Which APIServices are not available, and how often they came to be (``status/metrics`` in kube-aggregator)."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from picluster.apiserver.aggregation.services import ApiServices


class AvailabilityFigures(Collector):
    """Bounded by the APIServices that there are: what is said of one ends with it."""

    def __init__(self, services: ApiServices) -> None:
        self._services = services
        self._losses: dict[str, dict[str, int]] = {}

    def lost(self, name: str, reason: str) -> None:
        """An APIService that was available is so no longer."""
        reasons = self._losses.setdefault(name, {})
        reasons[reason] = reasons.get(reason, 0) + 1

    def collect(self) -> Iterator[Metric]:
        state = GaugeMetricFamily("aggregator_unavailable_apiservice", "Whether it is unavailable.", labels=("name",))
        losses = CounterMetricFamily(
            "aggregator_unavailable_apiservice", "Times that it became unavailable.", labels=("name", "reason")
        )
        known = {service.name: service.available for service in self._services}
        self._losses = {name: reasons for name, reasons in self._losses.items() if name in known}
        for name, available in known.items():
            state.add_metric((name,), int(not available))
            for reason, count in self._losses.get(name, {}).items():
                losses.add_metric((name, reason), count)
        yield from (state, losses)
