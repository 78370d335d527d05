"""``/livez``, ``/readyz``, ``/healthz``, what became of their checks (``/metrics/slis``), and ``/metrics``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from picluster.api import errors
from picluster.apiserver.http import PathHandler, text
from picluster.apiserver.requestinfo import RequestInfo

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Check = Callable[[], bool]


class HealthFigures(Collector):
    """How checks ended, last and so far (``component-base/metrics/prometheus/slis``, KEP-3466)."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], bool] = {}
        self._counts: dict[tuple[str, str, str], int] = {}

    def note(self, kind: str, results: Mapping[str, bool]) -> None:
        for name, good in results.items():
            self._last[name, kind] = good
            key = (name, "success" if good else "error", kind)
            self._counts[key] = self._counts.get(key, 0) + 1

    def render(self) -> bytes:
        registry = CollectorRegistry()
        registry.register(self)
        return generate_latest(registry)

    def collect(self) -> Iterator[Metric]:
        last = GaugeMetricFamily("kubernetes_healthcheck", "Whether a check was good.", labels=("name", "type"))
        counts = CounterMetricFamily("kubernetes_healthchecks", "Checks.", labels=("name", "status", "type"))
        for labels, good in self._last.items():
            last.add_metric(labels, int(good))
        for labelled, count in self._counts.items():
            counts.add_metric(labelled, count)
        yield from (last, counts)


def health_handler(name: str, checks: Mapping[str, Check], figures: HealthFigures) -> PathHandler:
    """Answers for ``/<name>`` (all checks) and ``/<name>/<check>``, as Kubernetes words it; ``?verbose`` lists them."""

    async def handle(request: web.BaseRequest, info: RequestInfo) -> web.StreamResponse:
        wanted = info.path.removeprefix(f"/{name}").strip("/")
        if wanted and wanted not in checks:
            raise errors.path_not_found()
        chosen = {wanted: checks[wanted]} if wanted else checks
        excluded = info.query.get("exclude", "")
        results = {check: run() for check, run in chosen.items() if check != excluded}
        figures.note(name, results)
        healthy = all(results.values())
        if healthy and "verbose" not in info.query:
            return await text(request, "ok")
        lines = [f"[+]{check} ok" if good else f"[-]{check} failed: reason withheld" for check, good in results.items()]
        lines.append(f"{name} check {'passed' if healthy else 'failed'}")
        return await text(request, "\n".join(lines) + "\n", 200 if healthy else 500)

    return handle


def metrics_handler(render: Callable[[], bytes]) -> PathHandler:
    async def handle(request: web.BaseRequest, info: RequestInfo) -> web.StreamResponse:
        return web.Response(body=render(), headers={"Content-Type": METRICS_TYPE})

    return handle
