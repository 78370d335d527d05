"""Reads every node's resource metrics, every 15 s while somebody asks for them, and not at all otherwise.

Who asks first waits for two readings of each node, a second apart; from then on, as with metrics-server, answers are of
the last interval. When nobody has asked for some minutes, everything is forgotten: an idle cluster does nothing here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable

from picluster.api.errors import ApiError
from picluster.api.meta import get_condition
from picluster.api.types import Object
from picluster.apiserver.metricsapi.samples import Reading, parse
from picluster.apiserver.proxy import AgentProxy, agent_address
from picluster.util.clock import Clock
from picluster.util.tasks import Tasks

log = logging.getLogger(__name__)

INTERVAL_S = 15.0
KEPT_S = 300.0
"""How long it is read on after the last question; an autoscaler asks every 15 s."""
FIRST_S = 1.2
"""Between the first two readings of a node; an agent reads anew after a second."""
ANSWER_MAX_S = 4.0
ASKER_WAITS_MAX_S = 5.0
AT_ONCE_MAX = 16
BYTES_MAX = 4 << 20
PATH = "/metrics/resource"


class Scraper:
    """``nodes`` lists the nodes there are; ``readings`` has the last two of each that answered, by its name."""

    def __init__(self, nodes: Callable[[], Iterable[Object]], agents: AgentProxy, clock: Clock) -> None:
        self._nodes = nodes
        self._agents = agents
        self._clock = clock
        self._tasks = Tasks("metrics")
        self._gate = asyncio.Semaphore(AT_ONCE_MAX)
        self._round: asyncio.Event | None = None
        self._asked_s = 0.0
        self.readings: dict[str, tuple[Reading | None, Reading]] = {}

    async def ask(self) -> None:
        """Somebody wants figures: return when there are some, or when there will not be any soon."""
        self._asked_s = self._clock.monotonic()
        if self._round is None:
            self._round = asyncio.Event()
            self._tasks.spawn(self._run(self._round), "scrape")
        try:
            async with asyncio.timeout(ASKER_WAITS_MAX_S):
                await self._round.wait()
        except TimeoutError:
            log.debug("some nodes have not told their metrics in time")

    async def close(self) -> None:
        await self._tasks.close()

    async def _run(self, first: asyncio.Event) -> None:
        try:
            while self._clock.monotonic() - self._asked_s < KEPT_S:
                began_s = self._clock.monotonic()
                nodes = {node["metadata"]["name"]: node for node in self._nodes()}
                for name in self.readings.keys() - nodes.keys():
                    del self.readings[name]
                await asyncio.gather(*(self._node(name, node) for name, node in nodes.items()))
                first.set()
                await self._clock.sleep(began_s + INTERVAL_S - self._clock.monotonic())
        finally:
            first.set()
            self._round = None
            self.readings.clear()

    async def _node(self, name: str, node: Object) -> None:
        if not _may_answer(node):
            self.readings.pop(name, None)
            return
        new = name not in self.readings
        await self._read(name, node)
        if new and name in self.readings:
            await self._clock.sleep(FIRST_S)
            await self._read(name, node)

    async def _read(self, name: str, node: Object) -> None:
        try:
            async with self._gate:
                text = await self._agents.read(agent_address(node), PATH, ANSWER_MAX_S, BYTES_MAX)
        except ApiError as error:
            log.debug("node %s does not tell its metrics: %s", name, error)
            self.readings.pop(name, None)
            return
        reading = parse(text, self._clock.now())
        last = self.readings[name][1] if name in self.readings else None
        if last is None or reading.node.at_s > last.node.at_s:
            self.readings[name] = (last, reading)


def _may_answer(node: Object) -> bool:
    """A node that is silent is not waited for."""
    ready = get_condition(node, "Ready")
    return ready is None or ready.get("status") != "Unknown"
