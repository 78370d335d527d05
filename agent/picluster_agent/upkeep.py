"""The node kept usable, put together: garbage is collected, pods go before the machine is at its end, and who is
killed when it is gets known.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from picluster_agent.cgroups.oom import Killed, OomWatch
from picluster_agent.config import Config
from picluster_agent.eviction.manager import EvictionManager
from picluster_agent.garbage.collector import Collector
from picluster_agent.node.events import reference
from picluster_agent.stats.disks import STORAGE, DiskMeter
from picluster_agent.sync.context import Runtime


class Upkeep:
    """``on_pressure`` is called when the node has come under pressure, or out of it."""

    def __init__(self, config: Config, runtime: Runtime, disks: DiskMeter, on_pressure: Callable[[], None]) -> None:
        node, resources = reference(config.node_name), runtime.resources
        self._oom = OomWatch(lambda killed: runtime.recorder.event(node, "Warning", "SystemOOM", _victim(killed)))
        runtime.actual.oom_killed = self._oom.killed
        self._garbage = Collector(
            config, runtime.podman, runtime.actual, runtime.recorder, node, runtime.clock, resources.uids, STORAGE
        )
        self.eviction = EvictionManager(
            config,
            runtime.groups.hierarchy,
            resources,
            runtime.actual,
            self._garbage,
            runtime.recorder,
            node,
            runtime.clock,
            disks.disks,
            on_pressure,
            STORAGE,
        )

    def start(self, pods_known: Callable[[], Awaitable[None]]) -> None:
        """Evictions begin once ``pods_known`` returns."""
        self._oom.start()
        self._garbage.start()
        self.eviction.start(pods_known)

    async def close(self) -> None:
        await self.eviction.close()
        await self._garbage.close()
        await self._oom.close()


def _victim(killed: Killed) -> str:
    return f"System OOM encountered, victim process: {killed.process}, pid: {killed.pid}"
