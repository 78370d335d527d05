"""The drill ``power-cut``: pull a node's plug, watch the cluster heal, plug it in again.

The order is what makes it safe. Everything that can be wrong is found before the cut (outlet unreadable, node not
Ready, Service already failing); the guard is armed before the outlet is switched; and whatever happens after that,
the power is put back before the drill ends, or the guard does it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from picluster.api import meta
from picluster.client.transport import Client
from picluster.drills.guard import Guard
from picluster.drills.model import HEALING, NODE_READY, Measurement, PhaseInfo, Sample
from picluster.drills.observe import Observer, World
from picluster.drills.plan import DrillError, Plan
from picluster.drills.probe import Prober
from picluster.power.outlet import Outlet, OutletState, load, read, switch
from picluster.util.clock import Clock

FOLLOW_LIMIT_S = 15.0
STEADY_S = 2.0
HEAL_LIMIT_S = 60.0
RETURN_LIMIT_S = 180.0
SWITCH_TIMEOUT_S = 15.0
SETTLE_S = 2.0
"""The Service must answer without a failure for this long before it counts as restored."""


Say = Callable[[str, float | None], None]
"""``say(what, seconds after the outlet read off)``: progress for a person."""


class PowerCut:
    """One run of the drill. ``measurement`` is valid at any moment, also after an interruption."""

    def __init__(self, client: Client, clock: Clock, plan: Plan, say: Say) -> None:
        self._client = client
        self._clock = clock
        self._plan = plan
        self._say = say
        self._changed = asyncio.Event()
        metadata = plan.service["metadata"]
        self.measurement = Measurement(
            plan.victim.name, f"{metadata['namespace']}/{metadata['name']}", meta.now_rfc3339(clock.now())
        )

    async def run(self) -> None:
        """Run the drill; raises ``DrillError`` when it could not start, and nothing was switched then."""
        plan = self._plan
        assert plan.victim.outlet is not None
        outlet = load(plan.victim.outlet)
        if await read(outlet) is not OutletState.ON:
            name = plan.victim.name
            raise DrillError(f"the outlet of {name} does not read on; switch it on first: picluster power on {name}")
        observer = Observer(self._client, self._clock, plan.service, plan.victim.name, self._on_world)
        prober = Prober(plan.watcher, plan.address, plan.port, self._clock, self._on_sample)
        try:
            await self._follow(observer)
            await prober.start()
            await self._steady()
            with Guard(plan.victim.outlet) as guard:
                await self._cut_and_restore(outlet, guard)
            await self._settle()
        finally:
            await prober.close()
            await observer.close()

    async def _follow(self, observer: Observer) -> None:
        try:
            async with asyncio.timeout(FOLLOW_LIMIT_S):
                await observer.start()
        except TimeoutError:
            raise DrillError(f"the API server did not tell the cluster's state within {FOLLOW_LIMIT_S:.0f} s") from None

    async def _steady(self) -> None:
        self._say(f"asking {self.measurement.service} from {self._plan.watcher.name}", None)
        await self._clock.sleep(STEADY_S)
        samples = self.measurement.samples
        bad = sum(not sample.ok for sample in samples)
        if bad or not samples:
            count = f"{bad} of {len(samples)} probes"
            raise DrillError(
                f"{self.measurement.service} already fails before the cut ({count}); wait until it answers"
            )

    async def _cut_and_restore(self, outlet: Outlet, guard: Guard) -> None:
        try:
            self._say(f"cutting the power of {self._plan.victim.name}", None)
            await self._switch(outlet, OutletState.OFF)
            self.measurement.off_s = self._clock.monotonic()
            self._say("outlet reads off", 0.0)
            await self._until(lambda: all(p.key in self.measurement.reached_s for p in HEALING[:-1]), HEAL_LIMIT_S)
        finally:
            await asyncio.shield(self._restore(outlet, guard))
        await self._until(lambda: NODE_READY.key in self.measurement.reached_s, RETURN_LIMIT_S)

    async def _restore(self, outlet: Outlet, guard: Guard) -> None:
        await self._switch(outlet, OutletState.ON)
        guard.release()
        self.measurement.on_s = self._clock.monotonic()
        self._tell("power is back, outlet reads on")

    async def _switch(self, outlet: Outlet, want: OutletState) -> None:
        begun_s = self._clock.now()
        await switch(outlet, want, timeout_s=SWITCH_TIMEOUT_S)
        self.measurement.journal.append(
            {
                "activity": {
                    "type": "action",
                    "name": f"switch-{want.value}",
                    "provider": {"type": "picluster-outlet"},
                },
                "status": "succeeded",
                "start": meta.now_rfc3339(begun_s),
                "end": meta.now_rfc3339(self._clock.now()),
                "duration": round(self._clock.now() - begun_s, 3),
            }
        )

    async def _settle(self) -> None:
        """The last failure must lie behind us: wait until the Service has answered for a while without one."""

        def answers() -> bool:
            recent = [s for s in self.measurement.samples if s.sent_s > self._clock.monotonic() - SETTLE_S]
            return bool(recent) and all(sample.ok for sample in recent)

        await self._until(answers, HEAL_LIMIT_S)

    async def _until(self, done: Callable[[], bool], limit_s: float) -> None:
        """Wait for ``done``, looking after every change; a phase that is late is a result, not an error."""
        try:
            async with asyncio.timeout(limit_s):
                while not done():
                    await self._changed.wait()
                    self._changed.clear()
        except TimeoutError:
            self._tell(f"gave up after {limit_s:.0f} s")

    def _on_sample(self, sample: Sample) -> None:
        self.measurement.samples.append(sample)
        self._changed.set()

    def _on_world(self, world: World, at_s: float) -> None:
        if self.measurement.off_s is None:
            return
        reached = world.reached(self._plan.replicas)
        for phase in HEALING:
            if reached.get(phase.key):
                self._reach(phase, at_s)
        if self.measurement.on_s is not None and world.node_is_ready():
            self._reach(NODE_READY, at_s)
        self._changed.set()

    def _reach(self, phase: PhaseInfo, at_s: float) -> None:
        if self.measurement.reach(phase.key, at_s):
            self._tell(phase.title)

    def _tell(self, what: str) -> None:
        off_s = self.measurement.off_s
        self._say(what, None if off_s is None else self._clock.monotonic() - off_s)
