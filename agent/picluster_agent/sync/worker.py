"""One pod's worker: look, plan, act, report; then wait until something happens, and look again.

Nothing that a worker remembers is needed to go on after a restart of the agent. What it remembers saves work (the
address, the volumes' places) or belongs to this life of the agent (back-offs, grace periods that run). ``starting``
and ``stopping`` do what takes longer, so that a slow registry keeps no other container of the pod from its restart.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from picluster.api.errors import ApiError
from picluster.api.resources import PODS
from picluster.api.types import Object
from picluster.client import TransportError
from picluster.util.backoff import Backoff
from picluster_agent import figures
from picluster_agent.podman.client import PodmanError, PodmanUnavailable
from picluster_agent.sync import logs
from picluster_agent.sync.context import PodContext, Runtime, SyncError
from picluster_agent.sync.hooks import HOOKS, sandbox, volumes
from picluster_agent.sync.hooks.directories import Directories
from picluster_agent.sync.model import Outcome, Plan, PodView, State, Stop
from picluster_agent.sync.outcome import DEADLINE
from picluster_agent.sync.plan import plan, settled
from picluster_agent.sync.reporting import Reporter, is_ending
from picluster_agent.sync.spec import backoff_key, container, grace_period_s
from picluster_agent.sync.starting import Starter
from picluster_agent.sync.stopping import Stopper
from picluster_agent.sync.writer import StatusWriter

log = logging.getLogger(__name__)

LOOK_AGAIN_S = 60.0
"""A worker looks at its pod at least this often; volumes are refreshed then."""
RETRY_MIN_S = 0.5
RETRY_MAX_S = 30.0


class PodWorker:
    """Runs one pod until nothing of it is left here. ``on_end`` is told then."""

    def __init__(
        self, runtime: Runtime, writer: StatusWriter, context: PodContext, on_end: Callable[[str], None]
    ) -> None:
        self.context = context
        self._runtime = runtime
        self._writer = writer
        self._on_end = on_end
        context.on_stale = self._try_again
        self._desired: Object | None = None
        self._wake = asyncio.Event()
        self._starter = Starter(runtime, context, self.wake, self._stop_failed)
        self._stopper = Stopper(runtime, context, self.wake)
        self._reporter = Reporter(runtime, context, writer, self._starter)
        self._retry = Backoff(RETRY_MIN_S, RETRY_MAX_S)
        self._retry_s = 0.0
        self._next_wake_s: float | None = None
        self._late = False
        self._refresh_s = runtime.clock.now() + LOOK_AGAIN_S

    def update(self, pod: Object | None) -> None:
        """What the API server says of the pod now; ``None`` when it does not know it any more."""
        if pod is not None:
            here = bool(self._runtime.actual.of(self.context.uid)) or "startTime" in (pod.get("status") or {})
            pod = self._runtime.resources.take(pod, here=here)
        self._desired = pod
        if pod is not None:
            if pod["metadata"].get("generation") != self.context.pod["metadata"].get("generation"):
                self._starter.changed()
            if any(
                pod["metadata"].get(key) != self.context.pod["metadata"].get(key) for key in ("labels", "annotations")
            ):
                self.context.stale.add(volumes.FIELDS)
                self._starter.changed()  # a sub-path may be named after an annotation
            self.context.pod = pod
        if is_ending(pod):
            self._starter.end()
        self._wake.set()

    def wake(self) -> None:
        self._wake.set()

    def _try_again(self) -> None:
        """What volumes are made from has changed: what failed for it need not wait."""
        self._retry_s = 0.0
        self._wake.set()

    async def run(self) -> None:
        """Until the pod is gone from here and from the API server."""
        try:
            while not await self._step():
                await self._wait()
        finally:
            self._runtime.prober.sync(self.context.uid, ())
            await self._starter.close()
            await self._stopper.close()
        self._writer.forget(self.context.uid)
        self._runtime.resources.forget(self.context.uid)
        self._on_end(self.context.uid)

    async def _step(self) -> bool:
        """One look at the world and what follows from it; whether the pod is over for this node."""
        begun_s, operation = self._runtime.clock.monotonic(), self._operation()
        try:
            return await self._look_and_act()
        finally:
            figures.POD_WORKER_SECONDS.labels(operation).observe(self._runtime.clock.monotonic() - begun_s)

    def _operation(self) -> str:
        """What the kubelet calls this step, in its metrics."""
        if is_ending(self._desired):
            return "kill"
        return "sync" if self.context.prepared else "create"

    async def _look_and_act(self) -> bool:
        self._wake.clear()
        view = self._view()
        self._end_leftovers(view)
        doing = plan(view)
        if doing.outcome is not None:
            self._starter.end()
            if not any(one.running for one in view.seen):  # who reads that it is over may give its room away
                self._runtime.resources.release(self.context.uid)
            self._tell_deadline(doing.outcome)
        self._reporter.probe(view)
        self._reporter.report(view, doing.outcome)
        try:
            finished = await self._act(view, doing)
            if self._retry_s <= self._runtime.clock.now():
                self._retry.reset()
        except SyncError as error:
            self.context.event(self._runtime, "Warning", error.reason, error.message)
            self._again(error)
            finished = False
        except (PodmanError, PodmanUnavailable, ApiError, TransportError, OSError) as error:
            self._again(error)
            finished = False
        if not doing.idle:
            self._reporter.report(self._view(), doing.outcome)
        self._next_wake_s = doing.wake_s
        return finished

    def _end_leftovers(self, view: PodView) -> None:
        """What an ended container left: it holds the output open, too, so that Podman's monitor waits for it."""
        pod_spec = self.context.pod["spec"]
        if pod_spec.get("shareProcessNamespace") or pod_spec.get("hostPID"):
            for one in view.seen:
                if one.state is State.EXITED:
                    self._runtime.groups.end_leftovers(self.context.uid, one.id)

    def _tell_deadline(self, outcome: Outcome) -> None:
        """Once, as the pod begins to end."""
        if outcome == DEADLINE and not self._late:
            self._late = True
            self.context.event(self._runtime, "Normal", outcome.reason, outcome.message)

    def _again(self, error: Exception) -> None:
        log.warning("pod %s/%s: %s", self.context.namespace, self.context.name, error)
        self._retry_s = self._runtime.clock.now() + self._retry.next_s()

    async def _wait(self) -> None:
        now_s = self._runtime.clock.now()
        dues = [now_s + LOOK_AGAIN_S]
        if self._next_wake_s is not None:
            dues.append(self._next_wake_s)
        if self._retry_s > now_s:
            dues.append(self._retry_s)
        if (resize_s := self._runtime.resources.wake_s(self.context.uid)) is not None:
            dues.append(resize_s)
        dues += [held.later_s for held in self._starter.held.values() if held.later_s > now_s]
        try:
            async with asyncio.timeout(max(min(dues) - now_s, 0.001)):
                await self._wake.wait()
        except TimeoutError:
            pass

    def _view(self) -> PodView:
        context, runtime = self.context, self._runtime
        context.sandbox = sandbox.current(context.paths, host_network=context.host_network)
        if context.sandbox and not context.pod_ip:  # adopted: what was reported before holds until it is looked up
            context.pod_ip = (context.pod.get("status") or {}).get("podIP", "")
        seen = self._starter.look(settled(runtime.actual.of(context.uid), context.sandbox))
        self._stopper.look(seen)
        replacing = frozenset(self._stopper.replacing)
        return PodView(
            pod=self._desired,
            seen=seen,
            sandbox=context.sandbox,
            now_s=runtime.clock.now(),
            start_time=context.start_time,
            started=frozenset(one.id for one in seen if one.running and self._reporter.started(one)),
            unhealthy=runtime.prober.unhealthy(context.uid),
            stopping=self._stopper.stopping,
            replacing=replacing,
            not_before=self._starter.not_before(seen, replacing),
            busy=self._starter.busy,
            torn_down=context.torn_down,
            ruling=runtime.resources.ruling(context.uid),
            dead_max=runtime.dead_containers_max,
            resized=runtime.resources.restarts(context.uid),
            removed_grace_s=self._removed_grace_s(),
        )

    def _removed_grace_s(self) -> float:
        given = self.context.pod["metadata"].get("deletionGracePeriodSeconds")
        return grace_period_s(self.context.pod) if given is None else float(given)

    def _stop_failed(self, stop: Stop) -> None:
        """A postStart handler failed: its container ends as if the plan had said so."""
        self._stopper.stop(stop, self._runtime.clock.now())

    async def _act(self, view: PodView, doing: Plan) -> bool:
        for container_id in doing.remove:
            await self._remove(view, container_id)
        for stop in doing.stop:
            self._stopper.stop(stop, view.now_s)
            self._wake.set()
        for container_id in doing.signal:
            await self._stopper.signal(container_id, view.seen, self._runtime.clock.now())
            self._wake.set()
        for container_id in doing.kill:
            await self._stopper.kill(container_id, self._runtime.clock.now())
        if doing.renew:
            self._begin_anew(view, doing.renew)
        elif doing.tear_down:
            await self._tear_down()
            self._wake.set()
        elif doing.release:
            return await self._release(view)
        elif doing.prepare:
            await self._run_pod(view, doing)
        return False

    async def _remove(self, view: PodView, container_id: str) -> None:
        await self._runtime.podman.remove(container_id)
        self._runtime.actual.forget(self.context.uid, container_id)
        self._starter.forget(container_id)
        for one in view.seen:
            if one.id == container_id:
                logs.remove(self.context.paths, one)

    async def _run_pod(self, view: PodView, doing: Plan) -> None:
        """Make stand what the pod needs, and start what is due; a pod that runs is never hurt by a failure here."""
        if self._runtime.clock.now() < self._retry_s:
            return
        self.context.torn_down = False
        for step in doing.start:
            self._starter.begin(step, view)
        if not self.context.prepared or view.sandbox is None or volumes.missing(self.context):
            if view.sandbox is None and view.seen:
                message = "Pod sandbox changed, it will be killed and re-created."
                self.context.event(self._runtime, "Normal", "SandboxChanged", message)
            await self._prepare()
        elif not doing.start:
            await self._refresh()
        running = {one.name: one.id for one in view.seen if one.running and one.id not in view.stopping}
        self._runtime.resources.actuate(self.context.uid, running)

    async def _refresh(self) -> None:
        """Bring volumes up to date: all of them now and then, those whose objects have changed at once."""
        everything = self._runtime.clock.now() >= self._refresh_s
        if everything:
            self._refresh_s = self._runtime.clock.now() + LOOK_AGAIN_S
        if (everything or self.context.stale) and volumes.refreshable(self.context):
            await volumes.refresh(self._runtime, self.context, everything=everything)

    async def _prepare(self) -> None:
        self._stands(stands=False)
        for hook in HOOKS:
            await hook.set_up(self._runtime, self.context)
        self._stands(stands=True)
        self._wake.set()

    def _stands(self, *, stands: bool) -> None:
        self.context.prepared = stands
        self._starter.prepared(stands=stands)

    def _begin_anew(self, view: PodView, asked: str) -> None:
        """All containers run again in the same sandbox (RestartAllContainers)."""
        definition = container(self.context.pod, asked)
        ended = next((one for one in view.seen if one.name == asked and one.sandbox == view.sandbox), None)
        if definition is not None and ended is not None:
            self._starter.crashes.next(backoff_key(definition), ended.finished_s, view.now_s)
        sandbox.begin_round(self.context.paths)
        self._wake.set()

    async def _tear_down(self) -> None:
        self._runtime.prober.sync(self.context.uid, ())
        self._stands(stands=False)
        for hook in reversed(HOOKS):
            await hook.tear_down(self._runtime, self.context)
        self.context.torn_down = True
        self._runtime.resources.release(self.context.uid)

    async def _release(self, view: PodView) -> bool:
        """Nothing runs any more. The API object goes first; then, when it is gone, what is left on the disk."""
        if view.pod is None:
            await Directories().erase(self.context)
            return True
        self._reporter.report(view, None)
        await self._writer.flush(self.context.uid)
        metadata = view.pod["metadata"]
        try:
            await self._runtime.client.delete(
                PODS, metadata["name"], namespace=metadata["namespace"], uid=metadata["uid"], grace_period_s=0
            )
        except ApiError as error:
            if error.code not in (404, 409):
                raise
        return False
