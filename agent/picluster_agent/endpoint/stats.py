"""``/stats/summary``: what the node and its pods use, as the kubelet tells it."""

from __future__ import annotations

import orjson
from aiohttp import web

from picluster_agent.endpoint.lookup import flag
from picluster_agent.stats.collector import Collector
from picluster_agent.stats.disks import DiskMeter
from picluster_agent.stats.summary import summary


class Stats:
    def __init__(self, collector: Collector, disks: DiskMeter) -> None:
        self._collector = collector
        self._disks = disks

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_get("/stats/summary", self._summary)

    async def _summary(self, request: web.Request) -> web.Response:
        only = flag(request.query.get("only_cpu_and_memory", ""))
        disks = None if only else await self._disks.disks()
        body = orjson.dumps(summary(await self._collector.sample(), disks))
        return web.Response(body=body, content_type="application/json")
