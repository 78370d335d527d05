"""One pod's worker: look, plan, act, report; then wait until something happens, and look again.

Nothing that a worker remembers is needed to go on after a restart of the agent. What it remembers saves work (the
address, the volumes' places) or belongs to this life of the agent (back-offs, grace periods that run).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from picluster.api.errors import ApiError
from picluster.api.resources import PODS
from picluster.api.types import Object
from picluster.client import TransportError
from picluster.util.backoff import Backoff
from picluster.util.tasks import Tasks
from picluster_agent.podman.client import PodmanError, PodmanUnavailable
from picluster_agent.podman.launch import Image
from picluster_agent.probes.checks import Subject
from picluster_agent.probes.prober import Target
from picluster_agent.sync import messages, spec
from picluster_agent.sync.backoff import CrashBackoff
from picluster_agent.sync.context import PodContext, Runtime, SyncError
from picluster_agent.sync.hooks import HOOKS, container, image, volumes
from picluster_agent.sync.hooks.directories import Directories
from picluster_agent.sync.hooks.sandbox import current
from picluster_agent.sync.model import Outcome, Plan, PodView, Seen, Start, State, Stop, Stopping, latest
from picluster_agent.sync.plan import plan, settled
from picluster_agent.sync.status import StatusInput, Waiting, pod_status
from picluster_agent.sync.writer import StatusWriter

log = logging.getLogger(__name__)

LOOK_AGAIN_S = 60.0
"""A worker looks at its pod at least this often; volumes are refreshed then."""
RETRY_MIN_S = 0.5
RETRY_MAX_S = 30.0
START_BACKOFF_S = (10.0, 300.0)
"""First and longest wait before a start that failed is tried again."""
LOCAL_BACKOFF_S = (2.0, 20.0)
"""The same where a try costs nobody anything: a ConfigMap may come, an image may be loaded."""
LOCAL_REASONS = ("CreateContainerConfigError", "ErrImageNeverPull")
LATER_S = 1.0
"""How long ErrImagePull is shown before it becomes ImagePullBackOff."""


@dataclass(slots=True)
class _Held:
    """Why a container was not started, and when it may be tried again."""

    waiting: Waiting
    later: Waiting
    later_s: float
    until_s: float


class PodWorker:
    """Runs one pod until nothing of it is left here. ``on_end`` is told then."""

    def __init__(
        self, runtime: Runtime, writer: StatusWriter, context: PodContext, on_end: Callable[[str], None]
    ) -> None:
        self.context = context
        self._runtime = runtime
        self._writer = writer
        self._on_end = on_end
        self._desired: Object | None = None
        self._wake = asyncio.Event()
        self._stopping: dict[str, Stopping] = {}
        self._held: dict[str, _Held] = {}
        self._tries: dict[str, Backoff] = {}
        self._crashes = CrashBackoff()
        self._backing_off: dict[str, float] = {}
        self._messages: dict[str, str] = {}
        self._retry = Backoff(RETRY_MIN_S, RETRY_MAX_S)
        self._retry_s = 0.0
        self._next_wake_s: float | None = None
        self._refresh_s = runtime.clock.now() + LOOK_AGAIN_S
        self._initialized = False
        self._outcome: Outcome | None = None
        self._pulls: tuple[asyncio.Future[Image], ...] = ()
        self._tasks = Tasks(f"pod {context.uid}")

    def update(self, pod: Object | None) -> None:
        """What the API server says of the pod now; ``None`` when it does not know it any more."""
        self._desired = pod
        if pod is not None:
            if pod["metadata"].get("generation") != self.context.pod["metadata"].get("generation"):
                self._held.clear()  # another image may be there at once
                self._tries.clear()
            self.context.pod = pod
        if self._is_ending():
            for pull in self._pulls:
                pull.cancel()
        self._wake.set()

    def _is_ending(self) -> bool:
        return self._desired is None or bool(self._desired["metadata"].get("deletionTimestamp"))

    def wake(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        """Until the pod is gone from here and from the API server."""
        try:
            while not await self._step():
                await self._wait()
        finally:
            self._runtime.prober.sync(self.context.uid, ())
            await self._tasks.close()
        self._writer.forget(self.context.uid)
        self._on_end(self.context.uid)

    async def _step(self) -> bool:
        """One look at the world and what follows from it; whether the pod is over for this node."""
        self._wake.clear()
        view = self._view()
        doing = plan(view)
        self._initialized = doing.initialized
        self._outcome = doing.outcome
        self._probe(view)
        self._report(view)
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
        if doing != Plan(wake_s=doing.wake_s, prepare=doing.prepare, initialized=doing.initialized):
            self._report(self._view())
        self._next_wake_s = doing.wake_s
        return finished

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
        dues += [held.later_s for held in self._held.values() if held.later_s > now_s]
        try:
            async with asyncio.timeout(max(min(dues) - now_s, 0.001)):
                await self._wake.wait()
        except TimeoutError:
            pass

    # -- looking -------------------------------------------------------------------------------------------------------

    def _view(self) -> PodView:
        context, runtime = self.context, self._runtime
        context.sandbox = current(context.paths, host_network=context.host_network)
        if context.sandbox and not context.pod_ip:  # adopted: what was reported before holds until it is looked up
            context.pod_ip = (context.pod.get("status") or {}).get("podIP", "")
        now_s = runtime.clock.now()
        seen = settled(runtime.actual.of(context.uid), context.sandbox)
        alive = {one.id for one in seen if one.running}
        self._stopping = {key: value for key, value in self._stopping.items() if key in alive}
        return PodView(
            pod=self._desired,
            seen=seen,
            sandbox=context.sandbox,
            now_s=now_s,
            started=frozenset(one.id for one in seen if one.running and self._started(one)),
            unhealthy=runtime.prober.unhealthy(context.uid),
            stopping=self._stopping,
            not_before=self._not_before(seen),
            torn_down=context.torn_down,
            removed_grace_s=self._removed_grace_s(),
        )

    def _started(self, one: Seen) -> bool:
        definition = spec.container(self.context.pod, one.name) or {}
        return not definition.get("startupProbe") or self._runtime.prober.started(one.id)

    def _ready(self, one: Seen) -> bool:
        definition = spec.container(self.context.pod, one.name) or {}
        if not self._started(one):
            return False
        return not definition.get("readinessProbe") or self._runtime.prober.ready(one.id)

    def _not_before(self, seen: Iterable[Seen]) -> dict[str, float]:
        """When each container may start again: after its back-off, or what else held it up."""
        waits = {name: held.until_s for name, held in self._held.items()}
        for definition in spec.all_containers(self.context.pod):
            name = definition["name"]
            last = latest(tuple(seen), name)
            if (
                last is not None
                and last.state is State.EXITED
                and last.finished_s
                and last.sandbox == self.context.sandbox
            ):
                waits[name] = max(waits.get(name, 0.0), self._crashes.until(name, last.finished_s))
        return waits

    def _removed_grace_s(self) -> float:
        metadata = self.context.pod["metadata"]
        return float(metadata.get("deletionGracePeriodSeconds", spec.grace_period_s(self.context.pod)))

    # -- reporting -----------------------------------------------------------------------------------------------------

    def _probe(self, view: PodView) -> None:
        targets = []
        for one in view.seen:
            definition = spec.container(self.context.pod, one.name)
            if one.running and definition is not None and self._has_probes(definition) and self.context.pod_ip:
                known = self._known(one)
                targets.append(
                    Target(
                        self.context.uid,
                        Subject(one.id, definition, self.context.pod_ip),
                        one.started_s,
                        was_ready=bool(known.get("ready")),
                        was_started=bool(known.get("started")),
                    )
                )
        ending = [one.id for one in view.seen if self._ending(view) or one.id in view.stopping]
        self._runtime.prober.sync(self.context.uid, targets, ending=frozenset(ending))

    @staticmethod
    def _has_probes(definition: Object) -> bool:
        return any(definition.get(key) for key in ("startupProbe", "readinessProbe", "livenessProbe"))

    @staticmethod
    def _ending(view: PodView) -> bool:
        return view.pod is None or bool(view.pod["metadata"].get("deletionTimestamp"))

    def _known(self, one: Seen) -> Object:
        """What the API server says of this very container."""
        status = self.context.pod.get("status") or {}
        for known in [*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ())]:
            if str(known.get("containerID", "")).endswith(one.id):
                return dict(known)
        return {}

    def _report(self, view: PodView) -> None:
        if view.pod is None:
            return
        context = self.context
        running = [one for one in view.seen if one.running]
        world = StatusInput(
            seen=view.seen,
            sandbox=view.sandbox,
            now_s=view.now_s,
            host_ip=self._runtime.node.ip,
            pod_ip=context.pod_ip,
            attached=context.sandbox is not None and bool(context.pod_ip),
            initialized=self._initialized,
            waiting=self._waiting(view),
            ready=frozenset(one.id for one in running if self._ready(one)),
            started=view.started,
            messages=self._termination_messages(view.seen),
            outcome=self._outcome,
        )
        self._writer.put(view.pod, pod_status(view.pod, world))

    def _waiting(self, view: PodView) -> dict[str, Waiting]:
        waiting: dict[str, Waiting] = {}
        if self._outcome is not None or self._ending(view):
            return waiting
        for name, held in self._held.items():
            waiting[name] = held.later if view.now_s >= held.later_s else held.waiting
        for name, until_s in view.not_before.items():
            last = latest(view.seen, name)
            if name not in waiting and until_s > view.now_s and last is not None and last.state is State.EXITED:
                if self._ends_well(last):
                    continue
                full_name = spec.full_name(self.context.pod)
                delay = _go_duration(self._crashes.delay_s(name))
                waiting[name] = Waiting(
                    "CrashLoopBackOff", f"back-off {delay} restarting failed container={name} pod={full_name}"
                )
                self._say_back_off(name, until_s, full_name)
        return waiting

    def _say_back_off(self, name: str, until_s: float, full_name: str) -> None:
        """Once for each wait."""
        if self._backing_off.get(name) != until_s:
            self._backing_off[name] = until_s
            message = f"Back-off restarting failed container {name} in pod {full_name}"
            self.context.event(self._runtime, "Warning", "BackOff", message, name)

    def _ends_well(self, last: Seen) -> bool:
        definition = spec.container(self.context.pod, last.name) or {}
        regular_init = any(one["name"] == last.name for one in spec.init_containers(self.context.pod))
        if regular_init and not spec.is_sidecar(definition):
            return last.exit_code == 0
        return spec.restart_policy(self.context.pod) != "Always" and last.exit_code == 0

    def _termination_messages(self, seen: Iterable[Seen]) -> dict[str, str]:
        known = {}
        for one in seen:
            if one.state is not State.EXITED:
                continue
            if one.id not in self._messages:
                definition = spec.container(self.context.pod, one.name) or {}
                self._messages[one.id] = messages.termination_message(self.context.paths, definition, one)
            known[one.id] = self._messages[one.id]
        self._messages = known
        return known

    # -- acting --------------------------------------------------------------------------------------------------------

    async def _act(self, view: PodView, doing: Plan) -> bool:
        runtime, context = self._runtime, self.context
        for container_id in doing.remove:
            await runtime.podman.remove(container_id)
            runtime.actual.forget(context.uid, container_id)
        for stop in doing.stop:
            self._stop(view, stop)
        for container_id in doing.kill:
            await runtime.podman.kill(container_id, "SIGKILL")
            told = self._stopping.get(container_id, Stopping(view.now_s))
            self._stopping[container_id] = Stopping(max(told.kill_s, view.now_s), killed=True)
            runtime.actual.hint()
        if doing.tear_down:
            await self._tear_down()
            self._wake.set()
        elif doing.release:
            return await self._release(view)
        elif doing.prepare:
            await self._run_pod(view, doing)
        return False

    async def _run_pod(self, view: PodView, doing: Plan) -> None:
        """Make stand what the pod needs, and start what is due; a pod that runs is never hurt by a failure here."""
        if self._runtime.clock.now() < self._retry_s:
            return
        self.context.torn_down = False
        images = {step.name: asyncio.ensure_future(self._image(step)) for step in doing.start}
        self._pulls = tuple(images.values())
        try:
            if not self.context.prepared or view.sandbox is None:
                if view.sandbox is None and view.seen:
                    message = "Pod sandbox changed, it will be killed and re-created."
                    self.context.event(self._runtime, "Normal", "SandboxChanged", message)
                await self._prepare()
            starts = (self._start(view, step, images[step.name]) for step in doing.start)
            results = await asyncio.gather(*starts, return_exceptions=True)  # none goes on behind this step's back
            for failure in results:
                if failure is not None:
                    raise failure
        finally:
            self._pulls = ()
            for task in images.values():
                task.cancel()
            await asyncio.gather(*images.values(), return_exceptions=True)
        if not doing.start and self._runtime.clock.now() >= self._refresh_s:
            self._refresh_s = self._runtime.clock.now() + LOOK_AGAIN_S
            if volumes.refreshable(self.context):
                await volumes.refresh(self._runtime, self.context)

    async def _prepare(self) -> None:
        self.context.prepared = False
        for hook in HOOKS:
            await hook.set_up(self._runtime, self.context)
        self.context.prepared = True
        self._wake.set()

    async def _image(self, step: Start) -> Image:
        definition = spec.container(self.context.pod, step.name)
        assert definition is not None
        return await image.ensure(self._runtime, self.context, definition)

    async def _start(self, view: PodView, step: Start, of_image: asyncio.Future[Image]) -> None:
        last = latest(view.seen, step.name)
        await asyncio.wait((of_image,))
        if of_image.cancelled() or self._is_ending():  # nothing starts any more
            return
        try:
            found = of_image.result()
            async with self._runtime.starts:
                await container.start(self._runtime, self.context, step, found)
        except image.ImageError as error:
            self._hold(step.name, error.waiting, error.later)
            return
        except container.StartError as error:
            self._hold(step.name, error.waiting, error.waiting)
            return
        if last is not None and last.state is State.EXITED and last.sandbox == self.context.sandbox:
            self._crashes.next(step.name, last.finished_s)
        self._held.pop(step.name, None)
        self._tries.pop(step.name, None)
        self._wake.set()
        self._report(self._view())  # the pod's other containers may still wait for their images

    def _hold(self, name: str, waiting: Waiting, later: Waiting) -> None:
        """A start failed: wait longer each time."""
        now_s = self._runtime.clock.now()
        pull = waiting.reason == "ErrImagePull"
        reference = str((spec.container(self.context.pod, name) or {}).get("image", ""))
        local = waiting.reason in LOCAL_REASONS or (pull and reference.startswith("localhost/"))
        backoff = self._tries.setdefault(name, Backoff(*(LOCAL_BACKOFF_S if local else START_BACKOFF_S)))
        self._held[name] = _Held(waiting, later, now_s + LATER_S, now_s + backoff.next_s())
        said = waiting.reason if pull or waiting.reason == "ErrImageNeverPull" else waiting.message
        self.context.event(self._runtime, "Warning", "Failed", f"Error: {said}", name)
        if pull:
            self.context.event(self._runtime, "Normal", "BackOff", f'Back-off pulling image "{reference}"', name)
        self._wake.set()

    def _stop(self, view: PodView, stop: Stop) -> None:
        """Begin to stop a container, or shorten a grace that runs."""
        told = view.stopping.get(stop.id)
        self._stopping[stop.id] = Stopping(view.now_s + stop.grace_s, killed=bool(told and told.killed))
        if told is None:
            if stop.message:
                self.context.event(self._runtime, "Normal", "Killing", stop.message, stop.name)
            self._tasks.spawn(self._stop_gently(stop), f"stop {stop.name}")
        self._wake.set()

    async def _stop_gently(self, stop: Stop) -> None:
        """preStop, then the stop signal; the kill at the end of the grace is the plan's."""
        definition = spec.container(self.context.pod, stop.name) or {}
        seen = next((one for one in self._runtime.actual.of(self.context.uid) if one.id == stop.id), None)
        handler = (definition.get("lifecycle") or {}).get("preStop")
        if handler and stop.grace_s > 0:
            wrong = await container.lifecycle(self._runtime, self.context, definition, stop.id, handler, stop.grace_s)
            if wrong:
                self.context.event(
                    self._runtime, "Warning", "FailedPreStopHook", f"PreStopHook failed: {wrong}", stop.name
                )
        try:
            await self._runtime.podman.kill(stop.id, seen.stop_signal if seen else "SIGTERM")
        except (PodmanError, PodmanUnavailable) as error:
            log.warning("cannot signal container %s: %s", stop.name, error)
        self._runtime.actual.hint()

    async def _tear_down(self) -> None:
        self._runtime.prober.sync(self.context.uid, ())
        for hook in reversed(HOOKS):
            await hook.tear_down(self._runtime, self.context)
        self.context.prepared = False
        self.context.torn_down = True

    async def _release(self, view: PodView) -> bool:
        """Nothing runs any more. The API object goes first; then, when it is gone, what is left on the disk."""
        if view.pod is None:
            await Directories().erase(self.context)
            return True
        self._report(view)
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


def _go_duration(seconds: float) -> str:
    """``10s``, ``2m40s``: how Go prints a duration of whole seconds."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
