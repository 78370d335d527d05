"""``/livez``, ``/readyz``, ``/healthz`` and ``/metrics``."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aiohttp import web

from picluster.api import errors
from picluster.apiserver.http import PathHandler, text
from picluster.apiserver.metrics import Metrics
from picluster.apiserver.requestinfo import RequestInfo

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Check = Callable[[], bool]


def health_handler(name: str, checks: Mapping[str, Check]) -> PathHandler:
    """Answers for ``/<name>`` (all checks) and ``/<name>/<check>``, as Kubernetes words it; ``?verbose`` lists them."""

    async def handle(request: web.BaseRequest, info: RequestInfo) -> web.StreamResponse:
        wanted = info.path.removeprefix(f"/{name}").strip("/")
        if wanted and wanted not in checks:
            raise errors.path_not_found()
        chosen = {wanted: checks[wanted]} if wanted else checks
        excluded = info.query.get("exclude", "")
        results = {check: run() for check, run in chosen.items() if check != excluded}
        healthy = all(results.values())
        if healthy and "verbose" not in info.query:
            return await text(request, "ok")
        lines = [f"[+]{check} ok" if good else f"[-]{check} failed: reason withheld" for check, good in results.items()]
        lines.append(f"{name} check {'passed' if healthy else 'failed'}")
        return await text(request, "\n".join(lines) + "\n", 200 if healthy else 500)

    return handle


def metrics_handler(metrics: Metrics) -> PathHandler:
    async def handle(request: web.BaseRequest, info: RequestInfo) -> web.StreamResponse:
        return web.Response(body=metrics.render(), headers={"Content-Type": METRICS_TYPE})

    return handle
