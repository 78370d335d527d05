"""What keeps the node from being Ready, in the kubelet's words (``nodestatus.ReadyCondition``)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from picluster.util.clock import Clock
from picluster_agent.network import Network
from picluster_agent.podman.watch import Watch
from picluster_agent.sync.actual import Actual

RELIST_MAX_S = 180.0
"""So long the list of containers may take; the service itself is known to be down much sooner (``podman.watch``)."""
SETTLE_MAX_S = 5.0
SHUTTING_DOWN = "node is shutting down"


class Readiness:
    def __init__(
        self, watch: Watch, actual: Actual, network: Network, clock: Clock, shutting_down: Callable[[], bool]
    ) -> None:
        self._watch = watch
        self._actual = actual
        self._clock = clock
        self._network = network
        self._shutting_down = shutting_down

    async def problems(self) -> list[str]:
        """Why no pod can run here now; empty when any can."""
        found = self._runtime()
        ready, why = await self._network.ready()
        if not ready:
            found.append(
                "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady "
                f"message:Network plugin returns error: {why}"
            )
        if self._shutting_down():
            found.append(SHUTTING_DOWN)
        return found

    async def settle(self) -> None:
        """Wait for a moment until Podman was asked: a restart of the agent must not look like trouble of its node."""
        asked = asyncio.ensure_future(self._actual.listed.wait())
        await asyncio.wait((asked,), timeout=SETTLE_MAX_S)
        asked.cancel()

    def _runtime(self) -> list[str]:
        if self._watch.trouble:
            return [f"container runtime is down: {self._watch.trouble}"]
        if not self._actual.listed.is_set():
            return ["container runtime status check may not have completed yet"]
        silent_s = self._clock.monotonic() - self._actual.relisted_s
        if silent_s < RELIST_MAX_S:
            return []
        ago, most = duration(silent_s), duration(RELIST_MAX_S)
        return [f"PLEG is not healthy: pleg was last seen active {ago} ago; threshold is {most}"]


def duration(seconds: float) -> str:
    """``3m5s``: how Go prints a duration of whole seconds."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{rest}s" if hours else f"{minutes}m{rest}s" if minutes else f"{rest}s"
