"""What a worker tells: its pod's status to the API server, its containers' probes to the prober."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from picluster.api.meta import now_rfc3339
from picluster.api.types import Object
from picluster_agent.durations import go_duration
from picluster_agent.probes.checks import Subject
from picluster_agent.probes.prober import Target
from picluster_agent.sync import messages, spec
from picluster_agent.sync.containerstatus import StatusInput
from picluster_agent.sync.context import PodContext, Runtime
from picluster_agent.sync.model import Outcome, PodView, Seen, State, Waiting, latest
from picluster_agent.sync.plan import reported
from picluster_agent.sync.restarts import restart_all_asked_by, restarts, starts_again
from picluster_agent.sync.starting import Starter
from picluster_agent.sync.status import pod_status
from picluster_agent.sync.writer import StatusWriter

PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


class Reporter:
    def __init__(self, runtime: Runtime, context: PodContext, writer: StatusWriter, starter: Starter) -> None:
        self._runtime = runtime
        self._context = context
        self._writer = writer
        self._starter = starter
        self._backing_off: dict[str, float] = {}
        self._messages: dict[str, str] = {}

    def started(self, one: Seen) -> bool:
        """A running container whose postStart handler and startup probe, if it has them, have succeeded."""
        definition = spec.container(self._context.pod, one.name) or {}
        if self._starter.hides(one):
            return False
        return not definition.get("startupProbe") or self._runtime.prober.started(one.id)

    def probe(self, view: PodView) -> None:
        """Have exactly the containers that run probed; those that are ending, for readiness only."""
        targets = []
        for one in view.seen:
            definition = spec.container(self._context.pod, one.name)
            if not one.running or definition is None or self._starter.hides(one):
                continue
            if any(definition.get(key) for key in PROBES) and self._context.pod_ip:
                known = reported(self._context.pod, one.name)
                same = str(known.get("containerID", "")).endswith(one.id)
                targets.append(
                    Target(
                        self._context.uid,
                        Subject(one.id, definition, self._context.pod_ip),
                        one.started_s,
                        was_ready=same and bool(known.get("ready")),
                        was_started=same and bool(known.get("started")),
                    )
                )
        ending = frozenset(one.id for one in view.seen if is_ending(view.pod) or one.id in view.stopping)
        self._runtime.prober.sync(self._context.uid, targets, ending=ending)

    def report(self, view: PodView, outcome: Outcome | None) -> None:
        if view.pod is None:
            return
        context = self._context
        seen = tuple(one for one in view.seen if not (one.running and self._starter.hides(one)))
        if not context.start_time:
            context.start_time = (view.pod.get("status") or {}).get("startTime") or now_rfc3339(view.now_s)
        world = StatusInput(
            seen=seen,
            sandbox=view.sandbox,
            now_s=view.now_s,
            start_time=context.start_time,
            host_ip=self._runtime.node.ip,
            pod_ip=context.pod_ip,
            attached=context.sandbox is not None and bool(context.pod_ip),
            waiting=self._waiting(replace(view, seen=seen), outcome),
            ready=frozenset(one.id for one in seen if one.running and self._ready(one)),
            started=view.started,
            messages=self._termination_messages(view.pod, seen),
            outcome=outcome,
            given=self._runtime.resources.given(context.uid),
            notices=tuple(one.condition for one in self._runtime.resources.notices(context.uid)),
            restarting_all=restart_all_asked_by(view, view.pod) is not None,
            ended=(outcome is not None or is_ending(view.pod))
            and not view.busy
            and not any(one.running for one in view.seen),
        )
        shown = context.mirror if context.static else view.pod
        if shown is not None:
            self._writer.put(context.uid, shown, pod_status(view.pod, world))

    def _ready(self, one: Seen) -> bool:
        definition = spec.container(self._context.pod, one.name) or {}
        return self.started(one) and (not definition.get("readinessProbe") or self._runtime.prober.ready(one.id))

    def _waiting(self, view: PodView, outcome: Outcome | None) -> dict[str, Waiting]:
        """Why containers that shall run do not."""
        pod, waiting = view.pod, dict[str, Waiting]()
        if pod is None or outcome is not None or is_ending(pod):
            return waiting
        for name, held in self._starter.held.items():
            if reason := held.later if view.now_s >= held.later_s else held.waiting:
                waiting[name] = reason
        for definition in spec.all_containers(pod):
            name = definition["name"]
            last = latest(view.seen, name)
            if name in waiting or last is None or last.state is not State.EXITED or not _runs_again(view, pod, last):
                continue
            if last.id in view.replacing and not restarts(definition, pod, last.exit_code):
                waiting[name] = Waiting("ContainerCreating", "")  # by its policy it would have ended for good
                continue
            if name in view.busy:
                continue
            if view.not_before.get(name, 0.0) > view.now_s:
                waiting[name] = self._back_off(definition, view.not_before[name])
            elif name in self._starter.reasons:
                waiting[name] = self._starter.reasons[name]
        return waiting

    def _back_off(self, definition: Object, until_s: float) -> Waiting:
        """The waiting state of a container in back-off, and once for each wait, its event."""
        name, pod = definition["name"], spec.full_name(self._context.pod)
        if self._backing_off.get(name) != until_s:
            self._backing_off[name] = until_s
            message = f"Back-off restarting failed container {name} in pod {pod}"
            self._context.event(self._runtime, "Warning", "BackOff", message, name)
        delay = go_duration(self._starter.crashes.delay_s(spec.backoff_key(definition)))
        return Waiting("CrashLoopBackOff", f"back-off {delay} restarting failed container={name} pod={pod}")

    def _termination_messages(self, pod: Object, seen: Iterable[Seen]) -> dict[str, str]:
        known = {}
        for one in seen:
            if one.state is not State.EXITED:
                continue
            if one.id not in self._messages:
                definition = spec.container(pod, one.name) or {}
                self._messages[one.id] = messages.termination_message(self._context.paths, definition, one)
            known[one.id] = self._messages[one.id]
        self._messages = known
        return known


def is_ending(pod: Object | None) -> bool:
    return pod is None or bool(pod["metadata"].get("deletionTimestamp"))


def _runs_again(view: PodView, pod: Object, last: Seen) -> bool:
    definition = spec.container(pod, last.name) or {}
    if definition in spec.ephemeral_containers(pod):
        return False
    if definition in spec.init_containers(pod) and not spec.is_sidecar(definition) and last.exit_code == 0:
        return False
    return starts_again(view, pod, definition, last)
