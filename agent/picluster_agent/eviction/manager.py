"""Keeps the node alive when something runs out: looks every ten seconds, and ends one pod at a time.

What is to be done is decided by ``thresholds``, ``ranking`` and ``localstorage``; a pod is ended by a ruling that its
worker carries out. Directories are measured only for pods that are limited, or when the disk is short, and at most
once a minute (``stats.disks``).
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from picluster.api.types import Object
from picluster.client import EventRecorder
from picluster.util.clock import Clock
from picluster.util.tasks import Tasks
from picluster_agent import amounts, figures, machine
from picluster_agent.admission.critical import is_critical
from picluster_agent.cgroups.hierarchy import Hierarchy
from picluster_agent.config import Config
from picluster_agent.eviction import localstorage, observe, texts
from picluster_agent.eviction.ranking import ranked
from picluster_agent.eviction.thresholds import RESOURCES, State, Threshold, crossed, foremost, of_config, step
from picluster_agent.eviction.usage import PodUse
from picluster_agent.garbage.collector import Collector
from picluster_agent.stats.model import Disks, PodDisks
from picluster_agent.sync.actual import Actual
from picluster_agent.sync.model import Outcome
from picluster_agent.sync.resources import PodResources

log = logging.getLogger(__name__)

LOOK_S = 10.0
CLEANUP_S = 30.0
"""How long an evicted pod may take to go before the next one is chosen."""
POLL_S = 0.5
AT_ONCE_S = 1.0
"""The grace of a pod that must go at once."""


class EvictionManager:
    """``disks`` measures, ``changed`` is called when a condition of ``node`` did, which events are about."""

    def __init__(
        self,
        config: Config,
        hierarchy: Hierarchy | None,
        resources: PodResources,
        actual: Actual,
        garbage: Collector,
        recorder: EventRecorder,
        node: Object,
        clock: Clock,
        disks: Callable[[], Awaitable[Disks]],
        changed: Callable[[], None],
        storage: Path,
    ) -> None:
        self._config = config
        self._hierarchy = hierarchy
        self._resources = resources
        self._actual = actual
        self._garbage = garbage
        self._recorder = recorder
        self._node = node
        self._clock = clock
        self._disks = disks
        self._changed = changed
        self._storage = storage
        self._split = observe.split(config.data_dir, storage)
        self._thresholds = of_config(config, split=self._split)
        self._transition_s = amounts.duration_s(config.eviction_pressure_transition_period)
        self._state = State()
        self._tasks = Tasks("eviction")

    def start(self, pods_known: Callable[[], Awaitable[None]]) -> None:
        """Begin once ``pods_known`` returns."""
        self._tasks.spawn(self._run(pods_known), "watch")

    async def close(self) -> None:
        await self._tasks.close()

    @property
    def pressures(self) -> tuple[str, ...]:
        """Types of the node's conditions that are true now."""
        return self._state.pressures

    @property
    def pressure(self) -> machine.Pressure:
        now = self._state.pressures
        return machine.Pressure("MemoryPressure" in now, "DiskPressure" in now, "PIDPressure" in now)

    async def _run(self, pods_known: Callable[[], Awaitable[None]]) -> None:
        await self._actual.listed.wait()
        await pods_known()
        while True:
            try:
                evicted = await self._look()
            except OSError as error:
                log.warning("cannot measure what is left on this node: %s", error)
                evicted = ""
            if evicted:
                await self._wait_for(evicted)
            else:
                await self._clock.sleep(LOOK_S)

    async def _look(self) -> str:
        """One look; the uid of the pod that was evicted, if one was."""
        seen = observe.node(self._config.data_dir, self._storage, self._hierarchy)
        before = self._state.pressures
        self._state = step(self._state, self._thresholds, seen, self._clock.now(), self._transition_s)
        if set(before) != set(self._state.pressures):
            self._changed()
        if uid := await self._too_greedy():
            return uid
        threshold = foremost(self._state.met)
        if threshold is None:
            return ""
        resource = RESOURCES[threshold.signal]
        log.warning("%s is short: %s", resource, seen[threshold.signal])
        self._recorder.event(self._node, "Warning", "EvictionThresholdMet", f"Attempting to reclaim {resource}")
        if await self._reclaim(threshold):
            return ""
        return await self._evict_for(threshold, resource)

    async def _too_greedy(self) -> str:
        """End a pod that uses more of the disk than it may."""
        limited = [pod for pod in self._candidates() if localstorage.limited(pod["spec"])]
        if not limited:
            return ""
        disks = (await self._disks()).pods
        for pod in limited:
            measured = observe.disk_use(disks.get(pod["metadata"]["uid"], PodDisks()))
            signal, why = localstorage.exceeded(pod["spec"], measured, split=self._split)
            if signal and self._evict(pod, signal, why, AT_ONCE_S, disruption=False):
                return str(pod["metadata"]["uid"])
        return ""

    async def _reclaim(self, threshold: Threshold) -> bool:
        """Take what hurts no pod; whether that was enough."""
        signal = threshold.signal
        if RESOURCES[signal] not in ("ephemeral-storage", "inodes") or (self._split and signal.startswith("nodefs")):
            return False
        await self._garbage.reclaim(dead=True, unused=True)
        seen = observe.node(self._config.data_dir, self._storage, self._hierarchy)
        return not crossed(self._thresholds, seen, with_reclaim=True)

    async def _evict_for(self, threshold: Threshold, resource: str) -> str:
        disks = (await self._disks()).pods if resource in ("ephemeral-storage", "inodes") else {}
        listed = [(pod, self._actual.of(pod["metadata"]["uid"])) for pod in self._candidates()]
        seen = observe.node(self._config.data_dir, self._storage, self._hierarchy)
        grace_s = AT_ONCE_S if threshold.hard else max(float(self._config.eviction_max_pod_grace_period), AT_ONCE_S)
        uses = observe.pods(self._hierarchy, listed, disks)
        for use in ranked(uses, threshold.signal, split=self._split):
            message = texts.evicted(resource, use, self._state.met, seen)
            if self._evict(use.pod, threshold.signal, message, grace_s, disruption=True):
                self._tell(use)
                return str(use.pod["metadata"]["uid"])
        log.warning("no pod can be evicted for %s", resource)
        return ""

    def _tell(self, use: PodUse) -> None:
        metadata = use.pod["metadata"]
        log.warning("pod %s/%s evicted: it used %d bytes", metadata["namespace"], metadata["name"], use.memory_bytes)

    def _candidates(self) -> list[Object]:
        return [pod for pod in self._resources.pods() if self._resources.ruling(pod["metadata"]["uid"]) is None]

    def _evict(self, pod: Object, signal: str, message: str, grace_s: float, *, disruption: bool) -> bool:
        """End a pod, unless the node cannot do without it."""
        if is_critical(pod):
            return False
        self._recorder.event(pod, "Warning", "Evicted", message)
        figures.EVICTIONS[signal] += 1
        told = message if disruption else ""
        outcome = Outcome("Failed", "Evicted", message, disruption=told, grace_s=grace_s)
        self._resources.rule(pod["metadata"]["uid"], outcome)
        return True

    async def _wait_for(self, uid: str) -> None:
        """Until an evicted pod is gone, or has had time enough."""
        deadline_s = self._clock.now() + CLEANUP_S
        while any(one.running for one in self._actual.of(uid)):
            if self._clock.now() >= deadline_s:
                return
            await self._clock.sleep(POLL_S)
