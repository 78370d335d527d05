"""When nodes are read for the metrics API: while somebody asks, and no longer."""

from __future__ import annotations

import asyncio
from typing import Any

from picluster.api import errors
from picluster.apiserver.metricsapi import samples
from picluster.apiserver.metricsapi.scraper import FIRST_S, INTERVAL_S, KEPT_S, Scraper
from picluster.util.clock import VirtualClock


def node(name: str, ready: str = "True") -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": ready}]
    addresses = [{"type": "InternalIP", "address": name}]
    return {"metadata": {"name": name}, "status": {"conditions": conditions, "addresses": addresses}}


class Agents:
    """Nodes that use half a processor; ``asked`` is when each was read, after the start."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._start_s = clock.now()
        self.gone: set[str] = set()
        self.asked: dict[str, list[float]] = {}

    async def read(self, address: Any, path: str, timeout_s: float, bytes_max: int) -> str:
        after_s = self._clock.now() - self._start_s
        self.asked.setdefault(address.host, []).append(round(after_s, 1))
        if address.host in self.gone:
            raise errors.internal("it has gone")
        at_ms = int(self._clock.now() * 1000)
        return f"node_cpu_usage_seconds_total {after_s / 2} {at_ms}\nnode_memory_working_set_bytes 7 {at_ms}\n"


async def test_nodes_are_read_while_somebody_asks() -> None:
    clock = VirtualClock()
    agents = Agents(clock)
    nodes = [node("pi-1"), node("pi-2"), node("silent", "Unknown")]
    scraper = Scraper(lambda: nodes, agents, clock)  # type: ignore[arg-type]
    asking = asyncio.create_task(scraper.ask())
    await clock.advance(FIRST_S)
    await asking
    rate = samples.node_rate(*scraper.readings["pi-1"])
    assert rate is not None
    assert (round(rate.cores, 3), rate.memory_bytes, round(rate.window_s, 1)) == (0.5, 7, FIRST_S)
    assert set(scraper.readings) == {"pi-1", "pi-2"}

    agents.gone.add("pi-2")
    nodes.pop(0)
    nodes.append(node("pi-3"))
    await clock.advance(INTERVAL_S)
    assert "pi-1" not in scraper.readings
    assert "pi-2" not in scraper.readings
    await scraper.ask()
    assert samples.node_rate(*scraper.readings["pi-3"]) is not None
    assert agents.asked["pi-3"] == [INTERVAL_S, INTERVAL_S + FIRST_S]

    for _ in range(int(KEPT_S / INTERVAL_S) + 2):
        await clock.advance(INTERVAL_S)
    assert scraper.readings == {}
    reads = sum(map(len, agents.asked.values()))
    await clock.advance(10 * INTERVAL_S)
    assert sum(map(len, agents.asked.values())) == reads, "nobody asks, so nothing is read"
    again = asyncio.create_task(scraper.ask())
    await clock.advance(FIRST_S)
    await again
    assert "pi-3" in scraper.readings
    await scraper.close()
