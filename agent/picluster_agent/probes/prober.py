"""Runs the probes of every container on the node, each in its own task, and keeps what they found.

A probe asks for the first time as soon as its container runs (or after ``initialDelaySeconds``). Where a readiness or
startup probe fails then, it is asked again after 50 ms, 100 ms, … within its first period: a program that needs half
a second to listen is Ready after half a second, not after a whole period. Only the last of these first tries counts
as a failure, so thresholds mean what they mean in Kubernetes.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from picluster.api.types import Object
from picluster.util.clock import Clock
from picluster.util.tasks import Tasks
from picluster_agent import figures
from picluster_agent.podman.client import Podman
from picluster_agent.probes.checks import Subject, check
from picluster_agent.probes.state import Kind, ProbeState, Result, Timing

NETWORK_MAX = 32
EXEC_MAX = 4
TRIES_MAX = 3
"""Of the kubelet's prober, for what could not be asked."""
FIRST_RETRY_S = 0.05
FIRST_EXEC_RETRY_S = 0.25
FIRST_RETRY_MAX_S = 0.5

OnChange = Callable[[str], None]
OnResult = Callable[[str, str, Kind, Result], None]
"""Pod uid, container name, probe, result: one that is worth an event."""


@dataclass(frozen=True, slots=True)
class Target:
    """A running container that has probes. ``was_ready`` is what the API server knows of it already."""

    uid: str
    subject: Subject
    started_s: float
    was_ready: bool = False
    was_started: bool = False


@dataclass(slots=True)
class _Probed:
    target: Target
    states: dict[Kind, ProbeState]
    started: asyncio.Event = field(default_factory=asyncio.Event)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)


class Prober:
    def __init__(self, podman: Podman, clock: Clock) -> None:
        self._podman = podman
        self._clock = clock
        self._probed: dict[str, _Probed] = {}
        self._by_pod: dict[str, set[str]] = {}
        self._tasks = Tasks("prober")
        self._network = asyncio.Semaphore(NETWORK_MAX)
        self._exec = asyncio.Semaphore(EXEC_MAX)
        self._on_change: OnChange = lambda uid: None
        self._on_result: OnResult = lambda uid, name, kind, result: None
        self._began_s = int(clock.now())

    def listen(self, on_change: OnChange, on_result: OnResult) -> None:
        self._on_change, self._on_result = on_change, on_result

    def sync(self, uid: str, targets: Iterable[Target], *, ending: frozenset[str] = frozenset()) -> None:
        """Probe exactly these containers of a pod; those that are ending (by id), for readiness only."""
        wanted = {target.subject.container_id: target for target in targets}
        for container_id in self._by_pod.get(uid, set()) - set(wanted):
            self._stop(container_id)
        for container_id, target in wanted.items():
            if container_id not in self._probed:
                self._start(target)
            if container_id in ending:
                self._quiet(container_id)

    def started(self, container_id: str) -> bool:
        probed = self._probed.get(container_id)
        return probed is not None and probed.started.is_set()

    def ready(self, container_id: str) -> bool:
        probed = self._probed.get(container_id)
        if probed is None or not probed.started.is_set():
            return False
        readiness = probed.states.get(Kind.READINESS)
        return readiness is None or readiness.healthy

    def unhealthy(self, uid: str) -> Mapping[str, str]:
        """Container id to the probe that gave up on it."""
        found = {}
        for container_id in self._by_pod.get(uid, ()):
            for kind, state in self._probed[container_id].states.items():
                if state.gave_up:
                    found[container_id] = kind.value
        return found

    async def close(self) -> None:
        await self._tasks.close()

    def _start(self, target: Target) -> None:
        container = target.subject.container
        container_id = target.subject.container_id
        states = {
            kind: ProbeState(kind, Timing.of(container[kind.field])) for kind in Kind if container.get(kind.field)
        }
        if Kind.READINESS in states and target.was_ready:
            states[Kind.READINESS].healthy = True
        if Kind.STARTUP in states and target.was_started:
            del states[Kind.STARTUP]
        probed = _Probed(target, states)
        if Kind.STARTUP not in states:
            probed.started.set()
        self._probed[container_id] = probed
        self._by_pod.setdefault(target.uid, set()).add(container_id)
        for kind, state in states.items():
            name = f"{kind.field} {container_id[:12]}"
            probed.tasks.append(self._tasks.spawn(self._run(probed, kind, state, container[kind.field]), name))

    def _stop(self, container_id: str) -> None:
        probed = self._probed.pop(container_id)
        for task in probed.tasks:
            task.cancel()
        ids = self._by_pod[probed.target.uid]
        ids.discard(container_id)
        if not ids:
            del self._by_pod[probed.target.uid]

    def _quiet(self, container_id: str) -> None:
        probed = self._probed[container_id]
        for (kind, state), task in zip(probed.states.items(), probed.tasks, strict=True):
            if kind is not Kind.READINESS:
                task.cancel()
                state.gave_up = False

    async def _run(self, probed: _Probed, kind: Kind, state: ProbeState, probe: Object) -> None:
        if kind is not Kind.STARTUP:
            await probed.started.wait()
        timing = state.timing
        await self._clock.sleep(probed.target.started_s + timing.initial_delay_s - self._clock.now())
        if probed.target.started_s < self._began_s:  # adopted: let not all of them be asked at one time
            await self._clock.sleep(random.random() * timing.period_s)  # noqa: S311
        eager = kind is not Kind.LIVENESS and not state.healthy
        due_s = self._clock.monotonic()
        while True:
            result = await (self._eagerly(probed, probe, timing) if eager else self._ask(probed, probe, timing))
            eager = False
            self._take(probed, kind, state, result)
            if kind is Kind.STARTUP and (state.healthy or state.gave_up):
                return
            due_s = max(due_s + timing.period_s, self._clock.monotonic())
            await self._clock.sleep(due_s - self._clock.monotonic())

    def _take(self, probed: _Probed, kind: Kind, state: ProbeState, result: Result) -> None:
        target = probed.target
        name = target.subject.container["name"]
        if not result.success or (result.message and target.subject.container[kind.field].get("httpGet")):
            self._on_result(target.uid, name, kind, result)
        if not result.known:
            return
        figures.PROBES[target.uid, name, kind.value, "successful" if result.success else "failed"] += 1
        if not state.record(result.success):
            return
        if kind is Kind.STARTUP and state.healthy:
            probed.started.set()
        self._on_change(target.uid)

    async def _eagerly(self, probed: _Probed, probe: Object, timing: Timing) -> Result:
        """Ask until it succeeds or the first period is over."""
        end_s = self._clock.monotonic() + timing.period_s
        delay_s = FIRST_EXEC_RETRY_S if probe.get("exec") else FIRST_RETRY_S
        while True:
            result = await self._ask(probed, probe, timing)
            if result.success or self._clock.monotonic() + delay_s >= end_s:
                return result
            await self._clock.sleep(delay_s)
            delay_s = min(2 * delay_s, FIRST_RETRY_MAX_S)

    async def _ask(self, probed: _Probed, probe: Object, timing: Timing) -> Result:
        """Ask once; what could not be asked, some times more."""
        async with self._exec if probe.get("exec") else self._network:
            for _ in range(TRIES_MAX):
                result = await check(self._podman, probed.target.subject, probe, timing.timeout_s)
                if result.known:
                    break
            return result
