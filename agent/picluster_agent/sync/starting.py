"""Starting a pod's containers, each in a task of its own: the image, the attempt, the postStart handler.

What failed, and how long the next attempt waits, is kept here; it belongs to this life of the agent.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from picluster.api.errors import ApiError
from picluster.api.types import Object
from picluster.client import TransportError
from picluster.util.backoff import Backoff
from picluster.util.tasks import Tasks
from picluster_agent.podman.client import PodmanError, PodmanUnavailable
from picluster_agent.probes.checks import Subject
from picluster_agent.sync import lifecycle, spec
from picluster_agent.sync.backoff import CrashBackoff
from picluster_agent.sync.context import PodContext, Runtime
from picluster_agent.sync.hooks import container, image
from picluster_agent.sync.model import PodView, Seen, Start, State, Stop, Waiting, earlier, latest

log = logging.getLogger(__name__)

START_BACKOFF_S = (10.0, 300.0)
"""First and longest wait before a start that failed is tried again."""
LOCAL_BACKOFF_S = (2.0, 20.0)
"""The same where a try costs nobody anything: a ConfigMap may come, an image may be loaded."""
CONFIG_ERROR = "CreateContainerConfigError"
RETRY_S = (0.5, 30.0)
"""The same where Podman or the API server did not answer."""
LATER_S = 1.0
"""How long ErrImagePull is shown before it becomes ImagePullBackOff."""
POST_START_ERROR = "PostStartHookError"


@dataclass(slots=True)
class Held:
    """Why a container was not started, and when it may be tried again."""

    waiting: Waiting | None
    later: Waiting | None
    later_s: float
    until_s: float


class Starter:
    """One pod's starts. ``wake`` is called whenever one has come a step further; ``stop`` ends a container."""

    def __init__(
        self, runtime: Runtime, context: PodContext, wake: Callable[[], None], stop: Callable[[Stop], None]
    ) -> None:
        self.crashes = CrashBackoff(max_s=runtime.crash_backoff_max_s)
        self.held: dict[str, Held] = {}
        self.reasons: dict[str, Waiting] = {}
        """Why a container that did start has to be started again, where its exit code does not tell."""
        self._hooked: dict[str, int] = {}
        """Name and attempt of containers whose postStart handler has not succeeded: nobody sees them run yet."""
        self.failed: dict[str, Seen] = {}
        """Attempts that Podman could not start, by container name; Podman does not remember them."""
        self._runtime = runtime
        self._context = context
        self._wake = wake
        self._stop = stop
        self._tries: dict[str, Backoff] = {}
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._creating: set[str] = set()
        self._meant_for: dict[str, str | None] = {}
        """The sandbox that each start was decided for; in another one, init containers come first again."""
        self._prepared = asyncio.Event()
        self._tasks = Tasks(f"starts of {context.uid}")

    @property
    def busy(self) -> frozenset[str]:
        return frozenset(self._busy)

    async def close(self) -> None:
        await self._tasks.close()

    def look(self, seen: Iterable[Seen]) -> tuple[Seen, ...]:
        """``seen`` and the attempts that failed to start."""
        found = tuple(seen)
        alive = {*self._busy, *(one.name for one in found if one.running)}
        self._hooked = {name: attempt for name, attempt in self._hooked.items() if name in alive}
        return (*found, *(one for one in self.failed.values() if one.id not in {other.id for other in found}))

    def hides(self, one: Seen) -> bool:
        """Whether a container that runs is not to be seen yet."""
        return self._hooked.get(one.name) == one.attempt

    def forget(self, container_id: str) -> None:
        """A container is of no further use."""
        for name in [name for name, one in self.failed.items() if one.id == container_id]:
            del self.failed[name]

    def changed(self) -> None:
        """The specification is another one: what failed may succeed now, what is being pulled may not be wanted."""
        self.held.clear()
        self._tries.clear()

    def end(self) -> None:
        """Nothing starts any more; what Podman is making at this moment comes to its end."""
        for name, task in self._busy.items():
            if name not in self._creating:
                task.cancel()

    def prepared(self, *, stands: bool) -> None:
        """Whether volumes, sandbox and network are there."""
        if stands:
            self._meant_for = {name: sandbox or self._context.sandbox for name, sandbox in self._meant_for.items()}
            self._prepared.set()
        else:
            self._prepared.clear()

    def begin(self, step: Start, view: PodView) -> None:
        """Start a container as soon as its image and the pod's sandbox are there."""
        last = latest(view.seen, step.name)
        since_s = self._since(view.seen, last, view.replacing)
        self._meant_for[step.name] = view.sandbox
        definition = spec.container(self._context.pod, step.name)
        assert definition is not None
        work = self._run(step, definition, since_s)
        self._busy[step.name] = self._tasks.spawn(work, f"start {step.name}")

    def not_before(self, seen: tuple[Seen, ...], replacing: frozenset[str]) -> Mapping[str, float]:
        """When each container may start again: after its back-off, or what else held it up."""
        waits = {name: held.until_s for name, held in self.held.items()}
        for definition in spec.all_containers(self._context.pod):
            name = definition["name"]
            last = latest(seen, name)
            since_s = self._since(seen, last, replacing)
            if last is not None and since_s:
                until_s = self.crashes.until(spec.backoff_key(definition), since_s)
                if since_s != last.finished_s and until_s > last.finished_s:
                    until_s = self.crashes.until(spec.backoff_key(definition), last.finished_s)
                waits[name] = max(waits.get(name, 0.0), until_s)
        return waits

    def _since(self, seen: tuple[Seen, ...], last: Seen | None, replacing: frozenset[str]) -> float:
        """The end that a back-off counts from: the last one; where that was stopped to be replaced, the one before."""
        if last is None or last.state is not State.EXITED or last.sandbox != self._context.sandbox:
            return 0.0
        if last.id not in replacing:
            return last.finished_s
        before = earlier(seen, last)
        return before.finished_s if before is not None and before.state is State.EXITED else 0.0

    async def _run(self, step: Start, definition: Object, since_s: float) -> None:
        name = step.name
        try:
            found = await image.ensure(self._runtime, self._context, definition)
            await self._prepared.wait()
            await self._turn(name)
            current = spec.container(self._context.pod, name)
            if current is None or spec.container_hash(current) != spec.container_hash(definition):
                return
            if self._meant_for[name] != self._context.sandbox:
                return
            if since_s:
                self.crashes.next(spec.backoff_key(definition), since_s, self._runtime.clock.now())
            self._creating.add(name)
            if (definition.get("lifecycle") or {}).get("postStart"):
                self._hooked[name] = step.attempt
            async with self._runtime.starts:
                seen = await container.start(self._runtime, self._context, step, found)
            self._succeeded(name)
            await self._post_start(definition, seen)
        except image.ImageError as error:
            self._no_image(name, error)
        except container.StartError as error:
            self._refused(name, error)
        except (PodmanError, PodmanUnavailable, ApiError, TransportError, OSError) as error:
            log.warning("pod %s/%s: %s: %s", self._context.namespace, self._context.name, name, error)
            self._wait(name, None, None, RETRY_S)
        finally:
            self._creating.discard(name)
            self._busy.pop(name, None)
            self._meant_for.pop(name, None)
            self._wake()

    async def _turn(self, name: str) -> None:
        """Containers start in order where it shows: after the postStart handlers of those before."""
        for one in spec.containers(self._context.pod):
            if one["name"] == name:
                return
            task = self._busy.get(one["name"])
            if task is not None and (one.get("lifecycle") or {}).get("postStart"):
                await asyncio.wait([task])

    def _succeeded(self, name: str) -> None:
        for memory in (self.held, self._tries, self.failed, self.reasons):
            memory.pop(name, None)

    async def _post_start(self, definition: Object, seen: Seen) -> None:
        handler = (definition.get("lifecycle") or {}).get("postStart")
        if not handler:
            return
        self._creating.discard(seen.name)
        wrong = await lifecycle.run(self._runtime, Subject(seen.id, definition, self._context.pod_ip), handler)
        if not wrong:
            self._hooked.pop(seen.name, None)
            return
        self._context.event(self._runtime, "Warning", "FailedPostStartHook", "PostStartHook failed", seen.name)
        self.reasons[seen.name] = Waiting(POST_START_ERROR, wrong)
        self._stop(Stop(seen.id, seen.name, spec.grace_period_s(self._context.pod), "FailedPostStartHook"))

    def _refused(self, name: str, error: container.StartError) -> None:
        if error.seen is None:
            local = error.waiting.reason == CONFIG_ERROR
            self._wait(name, error.waiting, error.waiting, LOCAL_BACKOFF_S if local else START_BACKOFF_S)
        else:
            self.failed[name] = error.seen
            self.reasons[name] = error.waiting
        self._context.event(self._runtime, "Warning", "Failed", f"Error: {error.waiting.message}", name)

    def _no_image(self, name: str, error: image.ImageError) -> None:
        """Wait longer each time, as a registry that is in trouble would have it."""
        self._wait(name, error.waiting, error.later, START_BACKOFF_S if error.costly else LOCAL_BACKOFF_S)
        self._context.event(self._runtime, "Warning", "Failed", f"Error: {error.waiting.reason}", name)
        if error.backing_off:
            self._context.event(self._runtime, "Normal", "BackOff", error.backing_off, name)
            self._context.event(self._runtime, "Warning", "Failed", f"Error: {error.later.reason}", name)

    def _wait(self, name: str, waiting: Waiting | None, later: Waiting | None, bounds_s: tuple[float, float]) -> None:
        now_s = self._runtime.clock.now()
        backoff = self._tries.setdefault(name, Backoff(*bounds_s))
        self.held[name] = Held(waiting, later, now_s + LATER_S, now_s + backoff.next_s())
