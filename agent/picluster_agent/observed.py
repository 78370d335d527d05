"""What the agent watches beside its pods: what they use, how full the disks are, how the board is."""

from __future__ import annotations

from collections.abc import Callable

from picluster.util.clock import Clock
from picluster.util.tasks import Tasks
from picluster_agent.cgroups.hierarchy import Hierarchy
from picluster_agent.config import Config
from picluster_agent.endpoint.healthz import Healthz
from picluster_agent.endpoint.lookup import Lookup
from picluster_agent.endpoint.metrics import Metrics
from picluster_agent.endpoint.stats import Stats
from picluster_agent.health.monitor import BoardMonitor
from picluster_agent.stats.collector import Collector
from picluster_agent.stats.disks import DiskMeter
from picluster_agent.sync.context import Runtime


class Observed:
    """``routes`` belong to the agent's server; ``on_board_change`` hears of the board's conditions."""

    def __init__(
        self,
        config: Config,
        runtime: Runtime,
        hierarchy: Hierarchy | None,
        lookup: Lookup,
        clock: Clock,
        on_board_change: Callable[[], None],
    ) -> None:
        workers = lookup.pods.workers
        self.collector = Collector(config.node_name, hierarchy, workers, lookup.seen, clock)
        self.disks = DiskMeter(config.data_dir, runtime.podman, workers, lookup.seen, clock)
        self.board = BoardMonitor(config.health_root, (config.data_dir,), clock, on_board_change)
        metrics = Metrics(config.node_name, lookup, runtime.actual, self.collector, self.disks, self.board, clock)
        self.routes = (metrics, Stats(self.collector, self.disks), Healthz(runtime.actual, clock))
        self._tasks = Tasks("observed")

    def start(self) -> None:
        self._tasks.spawn(self.board.run(), "board")

    async def close(self) -> None:
        await self._tasks.close()
        await self.disks.close()
