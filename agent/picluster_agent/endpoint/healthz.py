"""``/healthz``: whether the agent lives, by the kubelet's checks. Who answers at all passes ``ping`` and ``log``."""

from __future__ import annotations

from aiohttp import web

from picluster.util.clock import Clock
from picluster_agent.sync.actual import Actual

CHECKS = ("ping", "log", "syncloop")
LOOP_MAX_S = 300.0
"""A look at the containers may take two minutes with a Podman that hangs, which is no fault of the agent's."""


class Healthz:
    def __init__(self, actual: Actual, clock: Clock) -> None:
        self._actual = actual
        self._clock = clock

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_get("/healthz", self._healthz)
        router.add_get("/healthz/{check}", self._healthz)

    async def _healthz(self, request: web.Request) -> web.Response:
        check = request.match_info.get("check", "")
        if check and check not in CHECKS:
            raise web.HTTPNotFound(text="404 page not found\n")
        if check in ("", "syncloop") and self._clock.monotonic() - self._actual.looked_s > LOOP_MAX_S:
            raise web.HTTPInternalServerError(text="sync Loop took longer than expected\n")
        return web.Response(text="ok")
