"""Waits for a shutdown of the board, ends its pods in order, and lets the shutdown go on."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Sequence

from picluster.api.types import Object
from picluster.util.backoff import Backoff
from picluster.util.clock import Clock
from picluster.util.tasks import Tasks
from picluster_agent.amounts import duration_s
from picluster_agent.config import Config
from picluster_agent.shutdown import plan
from picluster_agent.shutdown.dbus import DBusError
from picluster_agent.shutdown.logind import Logind
from picluster_agent.shutdown.plan import Grace
from picluster_agent.sync.context import Runtime
from picluster_agent.sync.manager import PodManager
from picluster_agent.sync.model import Outcome

log = logging.getLogger(__name__)

LOOK_S = 0.1
FIRST_S = 2.0
RETRY_MIN_S, RETRY_MAX_S = 1.0, 300.0
DETECTED = "Shutdown manager detected shutdown event"
CANCELLED = "Shutdown manager detected shutdown cancellation"


class ShutdownManager:
    """``pods`` are those of this node, ``None`` until known; ``rule`` ends one; ``runs`` says whether something
    of it is left, or untold; ``on_change`` hears with the words of an event that the node begins to shut down, or does
    not after all.
    """

    def __init__(
        self,
        graces: Sequence[Grace],
        clock: Clock,
        pods: Callable[[], Iterable[Object] | None],
        rule: Callable[[str, Outcome], None],
        runs: Callable[[str], bool],
        on_change: Callable[[str], None],
    ) -> None:
        self._graces = graces
        self._clock = clock
        self._pods = pods
        self._rule = rule
        self._runs = runs
        self._on_change = on_change
        self._tasks = Tasks("shutdown")
        self._tried = asyncio.Event()
        self.shutting_down = False

    async def start(self) -> None:
        """Begin to listen; returns once it is known whether the board shuts down at this moment, or cannot be."""
        if not self._graces:
            return
        self._tasks.spawn(self._run(), "watch")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FIRST_S):
                await self._tried.wait()

    async def close(self) -> None:
        await self._tasks.close()

    async def _run(self) -> None:
        pause, told = Backoff(RETRY_MIN_S, RETRY_MAX_S), False
        while True:
            try:
                async with Logind() as logind:
                    await self._prepare(logind)
                    self._tried.set()
                    pause.reset()
                    await self._follow(logind)
            except (DBusError, OSError, TimeoutError) as error:
                log.log(
                    logging.DEBUG if told else logging.INFO, "pods end abruptly when the board shuts down: %s", error
                )
                told = True
                self._tried.set()
            await self._clock.sleep(pause.next_s())

    async def _prepare(self, logind: Logind) -> None:
        wanted_s = plan.total_s(self._graces)
        granted_s = await logind.allow(wanted_s)
        if granted_s < wanted_s:
            log.warning("logind lets a shutdown wait for %.0f s, not %.0f s", granted_s, wanted_s)
        preparing = await logind.preparing()
        if preparing != self.shutting_down:  # it began or was called off while nobody listened
            self._turn(preparing)
        if not preparing:
            await logind.hold()

    def _turn(self, begins: bool) -> None:
        log.info("the board shuts down: its pods end" if begins else "the shutdown was called off")
        self.shutting_down = begins
        self._on_change(DETECTED if begins else CANCELLED)

    async def _follow(self, logind: Logind) -> None:
        ending = self._tasks.spawn(self._end_pods(logind), "end pods") if self.shutting_down else None
        while True:
            begins = await logind.next()
            if begins == self.shutting_down:
                continue
            self._turn(begins)
            if begins:
                ending = self._tasks.spawn(self._end_pods(logind), "end pods")
            else:
                if ending is not None:
                    ending.cancel()
                    await asyncio.gather(ending, return_exceptions=True)
                await logind.hold()

    async def _end_pods(self, logind: Logind) -> None:
        """One priority after the other; then the shutdown may go on, whatever is left."""
        try:
            for grace, pods in plan.groups(await self._listed(), self._graces):
                log.info("%d pods of priority %d and above have %.0f s", len(pods), grace.priority, grace.period_s)
                for pod in pods:
                    self._rule(pod["metadata"]["uid"], plan.outcome(pod, grace.period_s))
                await self._wait({pod["metadata"]["uid"] for pod in pods}, grace.period_s)
        finally:
            logind.release()

    async def _listed(self) -> list[Object]:
        """The pods, once an agent that has just begun knows them."""
        end_s = self._clock.monotonic() + plan.total_s(self._graces)
        while self._pods() is None and self._clock.monotonic() < end_s:
            await self._clock.sleep(LOOK_S)
        await self._clock.sleep(LOOK_S)  # they get their workers
        return list(self._pods() or ())

    async def _wait(self, uids: set[str], period_s: float) -> None:
        end_s = self._clock.monotonic() + period_s
        while self._clock.monotonic() < end_s and any(self._runs(uid) for uid in uids):
            await self._clock.sleep(LOOK_S)


def shutdown_of(
    config: Config, clock: Clock, pods: PodManager, runtime: Runtime, on_change: Callable[[str], None]
) -> ShutdownManager:
    """The manager of a node's own pods."""

    def listed() -> list[Object] | None:
        if not (runtime.actual.listed.is_set() and pods.informer.synced):
            return None
        return [worker.context.pod for worker in pods.workers()]

    def runs(uid: str) -> bool:
        worker = pods.worker(uid)
        if worker is None:
            return False
        told = (worker.context.pod.get("status") or {}).get("phase") in plan.OVER
        return not told or any(one.running for one in runtime.actual.of(uid))

    whole, critical = config.shutdown_grace_period, config.shutdown_grace_period_critical_pods
    by_priority = {key: duration_s(text) for key, text in config.shutdown_grace_period_by_pod_priority.items()}
    graces = plan.graces(duration_s(whole), duration_s(critical), by_priority)
    return ShutdownManager(graces, clock, listed, runtime.resources.rule, runs, on_change)
