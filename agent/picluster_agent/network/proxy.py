"""Services made real: follows Services and EndpointSlices, and keeps the kernel's table equal to them.

Changes mark the ruleset dirty and one task applies the difference; whatever changes while it works goes into its next
round, so a storm of updates costs few transactions and a single one is applied at once. What the kernel holds after
the agent's start, after a refused transaction or after somebody flushed the table is unknown: then the whole table is
replaced, in one transaction, so that there is no moment without rules.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

from picluster.api.resources import ENDPOINT_SLICES, SERVICES
from picluster.api.types import Object
from picluster.client.informer import Informer
from picluster.client.transport import Client
from picluster.util.backoff import Backoff
from picluster.util.clock import Clock
from picluster.util.tasks import Tasks
from picluster_agent.network import conntrack, ruleset
from picluster_agent.network.nft import Nft, NftError
from picluster_agent.network.ruleset import Ranges, Ruleset
from picluster_agent.network.services import ServicePort, service_ports

log = logging.getLogger(__name__)
VERIFY_INTERVAL_S = 30.0


class ServiceProxy:
    def __init__(self, client: Client, nft: Nft, node_name: str, ranges: Ranges, clock: Clock) -> None:
        self._nft = nft
        self._node_name = node_name
        self._ranges = ranges
        self._clock = clock
        self._services = Informer(client, SERVICES)
        self._slices = Informer(client, ENDPOINT_SLICES)
        self._dirty = asyncio.Event()
        self._tasks = Tasks("service-proxy")
        self._applied: Ruleset | None = None
        self._ports: list[ServicePort] = []

    def start(self) -> None:
        for informer in (self._services, self._slices):
            informer.add_handler(self._on_change)
            self._tasks.spawn(informer.run(), "informer")
        self._tasks.spawn(self._run(), "sync")
        self._tasks.spawn(self._verify(), "verify")

    def set_pod_cidr(self, cidr: str) -> None:
        self._ranges = replace(self._ranges, pod_cidr=cidr)
        self._dirty.set()

    async def close(self) -> None:
        """Stop following; the rules stay, so that Services work while the agent is away."""
        await self._tasks.close()

    def _on_change(self, old: Object | None, new: Object | None) -> None:
        self._dirty.set()

    async def _run(self) -> None:
        await self._services.wait_synced()
        await self._slices.wait_synced()
        backoff = Backoff(initial_s=0.1, max_s=10.0)
        self._dirty.set()
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            try:
                await self._sync()
                backoff.reset()
            except NftError as error:
                self._applied = None
                self._dirty.set()
                delay_s = backoff.next_s()
                log.error("the kernel refused the ruleset, trying again in %.1f s: %s", delay_s, error)
                await self._clock.sleep(delay_s)

    async def _sync(self) -> None:
        ports = service_ports(self._services.values(), self._slices.values(), self._node_name)
        wanted = ruleset.build(ports, self._ranges)
        if self._applied is None:
            await self._nft.apply(ruleset.render(wanted))
        else:
            await self._nft.apply(ruleset.diff(self._applied, wanted))
        self._applied = wanted
        stale = conntrack.stale_flows(self._ports, ports)
        self._ports = ports
        await conntrack.forget(stale)

    async def _verify(self) -> None:
        """Somebody else's ``nft flush ruleset`` (a firewall service that restarts) must not take the Services away."""
        while True:
            await self._clock.sleep(VERIFY_INTERVAL_S)
            if self._applied is not None and not await self._nft.has_chain(ruleset.TABLE, ruleset.ENTRY_CHAIN):
                log.warning("table %s is gone from the kernel; putting it back", ruleset.TABLE)
                self._applied = None
                self._dirty.set()
