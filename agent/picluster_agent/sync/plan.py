"""What to do now for one pod: a pure function from what is seen to the next step.

It follows the kubelet's ``computePodActions``: init containers one after the other, then all others at once; a
restart only where the restart policy and the back-off allow it; everything again, with a higher restart count, when
the sandbox is a new one. It decides from the world alone, so it may be asked at any time, twice, or by an agent that
has just started.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from picluster.api.types import Object
from picluster_agent.sync.ending import pressure, stop_abruptly, wind_down
from picluster_agent.sync.initialization import progress
from picluster_agent.sync.model import EXIT_LOST, Plan, PodView, Seen, Start, State, Stop, latest
from picluster_agent.sync.outcome import deadline_of, outcome_of
from picluster_agent.sync.restarts import restart_all_asked_by, restarts, same_sandbox, starts_again
from picluster_agent.sync.spec import (
    container_hash,
    containers,
    ephemeral_containers,
    grace_period_s,
    init_containers,
)

FAILURE = 1
"""An exit code that stands for any failure."""


def settled(seen: Iterable[Seen], sandbox: str | None) -> tuple[Seen, ...]:
    """What is left of containers after their sandbox went: those that Podman forgot to have run are lost."""
    return tuple(
        replace(one, state=State.EXITED, exit_code=EXIT_LOST, reason="Unknown", started_s=0.0, finished_s=0.0)
        if one.state is State.CREATED and not same_sandbox(one.sandbox, sandbox)
        else one
        for one in seen
    )


def plan(view: PodView) -> Plan:
    """The next step for the pod in ``view``."""
    pod = view.pod
    if pod is None:
        return wind_down(view, view.removed_grace_s)
    metadata = pod["metadata"]
    if metadata.get("deletionTimestamp"):
        grace_s = metadata.get("deletionGracePeriodSeconds")
        return wind_down(view, grace_period_s(pod) if grace_s is None else float(grace_s))
    if outcome := outcome_of(view, pod):
        grace_s = grace_period_s(pod) if outcome.grace_s is None else outcome.grace_s
        return replace(wind_down(view, grace_s), outcome=outcome)
    if asked := restart_all_asked_by(view, pod):
        return _begin_anew(view, asked)
    return _run(view, pod)


def _begin_anew(view: PodView, asked: Seen) -> Plan:
    """All containers stop; then, once the one that asked has waited out its back-off, everything runs again."""
    running = [one for one in view.seen if one.running]
    if running:
        return stop_abruptly(view, running)
    wait_s = view.not_before.get(asked.name, 0.0)
    if view.busy or view.now_s < wait_s:
        return Plan(prepare=True, wake_s=wait_s if view.now_s < wait_s else None)
    return Plan(renew=asked.name)


@dataclass(slots=True)
class _Steps:
    view: PodView
    start: list[Start] = field(default_factory=list)
    wakes: list[float] = field(default_factory=list)

    def begin(self, name: str) -> None:
        """Start the next attempt of a container, or wait out its back-off."""
        not_before_s = self.view.not_before.get(name, 0.0)
        if name in self.view.busy:
            return
        if self.view.now_s < not_before_s:
            self.wakes.append(not_before_s)
        else:
            self.start.append(Start(name, next_attempt(self.view, name)))


def next_attempt(view: PodView, name: str) -> int:
    """The attempt number of the next start; never one that has run, also when Podman forgot every container."""
    known = reported(view.pod or {}, name)
    told, last = str(known.get("containerID") or ""), latest(view.seen, name)
    forgotten = bool(told) and not any(one.name == name and told.endswith(one.id) for one in view.seen)
    least = int(known.get("restartCount") or 0) + forgotten
    if last is None:
        return least
    return max(last.attempt if last.state is State.CREATED else last.attempt + 1, least)


def reported(pod: Object, name: str) -> Object:
    """What the API server says of a container."""
    status = pod.get("status") or {}
    for group in ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"):
        for one in status.get(group) or ():
            if one["name"] == name:
                return dict(one)
    return {}


def _run(view: PodView, pod: Object) -> Plan:
    steps = _Steps(view)
    initialization = progress(view, pod)
    for name in initialization.due:
        steps.begin(name)
    for container in ephemeral_containers(pod):
        if latest(view.seen, container["name"]) is None and not reported(pod, container["name"]).get("containerID"):
            steps.begin(container["name"])
    for container in containers(pod) if initialization.done else ():
        last = latest(view.seen, container["name"])
        if last is None or (not last.running and starts_again(view, pod, container, last)):
            steps.begin(container["name"])
    strays = tuple(one.id for one in view.seen if one.running and not same_sandbox(one.sandbox, view.sandbox))
    pressed = pressure(view, pod)
    wakes = [*steps.wakes, *pressed.wakes]
    if (deadline_s := deadline_of(view, pod)) is not None:
        wakes.append(deadline_s)
    return Plan(
        remove=tuple(one.id for one in _useless(view.seen, max(view.dead_max, 1)) if one.name not in view.busy),
        stop=tuple(_unwell(view, pod)),
        signal=pressed.signal,
        kill=tuple(dict.fromkeys(strays + pressed.kill)),
        prepare=True,
        start=tuple(steps.start) if not strays else (),
        wake_s=min(wakes, default=None),
    )


def _useless(seen: Sequence[Seen], dead_max: int) -> list[Seen]:
    """Containers that never ran, and dead ones but the newest of each name (whose log is the previous one)."""
    dead: dict[str, list[Seen]] = {}
    for one in seen:
        if not one.running:
            dead.setdefault(one.name, []).append(one)
    useless = []
    for group in dead.values():
        ran = sorted((one for one in group if one.state is State.EXITED), key=lambda one: one.attempt)
        useless += [one for one in group if one.state is State.CREATED] + ran[:-dead_max]
    return useless


def _unwell(view: PodView, pod: Object) -> list[Stop]:
    """Running containers that must go: a probe gave up on them, or their definition changed."""
    stops = []
    init = {container["name"]: container for container in init_containers(pod)}
    main = {container["name"]: container for container in containers(pod)}
    for one in view.seen:
        container = init.get(one.name) or main.get(one.name)
        if not one.running or one.id in view.stopping or container is None:
            continue
        changed = one.spec_hash != container_hash(container)
        probe = "" if changed else view.unhealthy.get(one.id, "")
        resized = one.name in view.resized
        if not changed and not probe and not resized:
            continue
        if resized and not changed and not probe:
            message = f"Container {one.name} resize requires restart"
            stops.append(Stop(one.id, one.name, grace_period_s(pod), message, replace=True))
            continue
        why = "definition changed" if changed else f"failed {probe.lower()} probe"
        again = changed or one.name in init or restarts(container, pod, FAILURE)
        message = f"Init container {one.name} {why}" if one.name in init else f"Container {one.name} {why}"
        if again and one.name in main:
            message += ", will be restarted"
        stops.append(Stop(one.id, one.name, _grace_of(pod, container, probe), message, replace=again))
    return stops


def _grace_of(pod: Object, container: Object, probe: str) -> float:
    own = (container.get(f"{probe.lower()}Probe") or {}).get("terminationGracePeriodSeconds") if probe else None
    return grace_period_s(pod) if own is None else float(own)
