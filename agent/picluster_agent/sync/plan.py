"""What to do now for one pod: a pure function from what is seen to the next step.

It follows the kubelet's ``computePodActions``: init containers one after the other, then all others at once; a
restart only where the restart policy and the back-off allow it; everything again, with a higher restart count, when
the sandbox is a new one. It decides from the world alone, so it may be asked at any time, twice, or by an agent that
has just started.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from picluster.api.meta import parse_time
from picluster.api.types import Object
from picluster_agent.sync.model import (
    EXIT_LOST,
    Outcome,
    Plan,
    PodView,
    Seen,
    Start,
    State,
    Stop,
    latest,
)
from picluster_agent.sync.spec import (
    container_hash,
    containers,
    grace_period_s,
    init_containers,
    is_sidecar,
    restart_policy,
)

KILL_AGAIN_S = 10.0
"""A killed container that is still there is killed again after this time."""


def settled(seen: Iterable[Seen], sandbox: str | None) -> tuple[Seen, ...]:
    """What is left of containers after their sandbox went: those that Podman forgot to have run are lost."""
    return tuple(
        replace(one, state=State.EXITED, exit_code=EXIT_LOST, reason="Unknown", started_s=0.0, finished_s=0.0)
        if one.state is State.CREATED and one.sandbox != sandbox
        else one
        for one in seen
    )


def plan(view: PodView) -> Plan:
    """The next step for the pod in ``view``."""
    if view.pod is None:
        return _wind_down(view, view.removed_grace_s)
    metadata = view.pod["metadata"]
    if metadata.get("deletionTimestamp"):
        grace_s = float(metadata.get("deletionGracePeriodSeconds", grace_period_s(view.pod)))
        return _wind_down(view, grace_s)
    if outcome := outcome_of(view):
        return replace(_wind_down(view, grace_period_s(view.pod)), outcome=outcome)
    return _run(view, view.pod)


# -- the end of a pod --------------------------------------------------------------------------------------------------


def outcome_of(view: PodView) -> Outcome | None:
    """Whether the pod is over, and how: by its restart policy, its deadline, or what the API server says already."""
    pod = view.pod
    assert pod is not None
    status = pod.get("status", {})
    if status.get("phase") in ("Succeeded", "Failed"):
        return Outcome(status["phase"], status.get("reason", ""), status.get("message", ""))
    deadline_s = _deadline_s(pod)
    if deadline_s is not None and view.now_s >= deadline_s:
        return Outcome("Failed", "DeadlineExceeded", "Pod was active on the node longer than the specified deadline")
    policy = restart_policy(pod)
    if policy == "Always":
        return None
    for container in init_containers(pod):
        last = latest(view.seen, container["name"])
        if policy == "Never" and not is_sidecar(container) and last and _failed(last):
            return Outcome("Failed")
    ends = [latest(view.seen, container["name"]) for container in containers(pod)]
    if any(end is None or not _over(end, policy) for end in ends):
        return None
    return Outcome("Failed" if any(end and end.exit_code for end in ends) else "Succeeded")


def _deadline_s(pod: Object) -> float | None:
    active_s = pod["spec"].get("activeDeadlineSeconds")
    start = pod.get("status", {}).get("startTime")
    return parse_time(start) + float(active_s) if active_s is not None and start else None


def _failed(one: Seen) -> bool:
    return one.state is State.EXITED and one.exit_code != 0


def _over(one: Seen, policy: str) -> bool:
    return one.state is State.EXITED and (policy == "Never" or one.exit_code == 0)


def _wind_down(view: PodView, grace_s: float) -> Plan:
    """Stop what runs (sidecars last), take the sandbox down, and let the API object go."""
    running = [one for one in view.seen if one.running]
    if not running:
        if not view.torn_down:
            return Plan(tear_down=True)
        if view.pod is None:
            return Plan(remove=tuple(one.id for one in view.seen), release=True)
        return Plan(release=bool(view.pod["metadata"].get("deletionTimestamp")))
    sidecars = {c["name"] for c in init_containers(view.pod) if is_sidecar(c)} if view.pod else set()
    first = [one for one in running if one.name not in sidecars] or running
    stop = []
    for one in first:
        told = view.stopping.get(one.id)
        if told is None or view.now_s + grace_s < told.kill_s:
            stop.append(Stop(one.id, one.name, grace_s, f"Stopping container {one.name}" if told is None else ""))
    kill, wake_s = _overdue(view)
    return Plan(stop=tuple(stop), kill=kill, wake_s=wake_s)


def _overdue(view: PodView) -> tuple[tuple[str, ...], float | None]:
    """Ids of running containers whose grace is over, and when to look for the next."""
    kill, wakes = [], []
    for one in view.seen:
        told = view.stopping.get(one.id)
        if not one.running or told is None:
            continue
        due_s = told.kill_s + (KILL_AGAIN_S if told.killed else 0.0)
        if view.now_s >= due_s:
            kill.append(one.id)
        else:
            wakes.append(due_s)
    return tuple(kill), min(wakes, default=None)


# -- a pod that shall run ----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Steps:
    start: list[Start]
    wakes: list[float]

    def begin(self, view: PodView, name: str, *, init: bool = False) -> None:
        """Start the next attempt of a container, or wait out its back-off."""
        not_before_s = view.not_before.get(name, 0.0)
        if view.now_s < not_before_s:
            self.wakes.append(not_before_s)
        else:
            self.start.append(Start(name, next_attempt(view, name), init))


def next_attempt(view: PodView, name: str) -> int:
    """The attempt number of the next start; never one that has run, also when Podman forgot every container."""
    last = latest(view.seen, name)
    if last is not None:
        return last.attempt if last.state is State.CREATED else last.attempt + 1
    status = (view.pod or {}).get("status", {})
    for reported in [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]:
        if reported["name"] == name:
            return int(reported.get("restartCount", 0)) + (1 if reported.get("containerID") else 0)
    return 0


def _run(view: PodView, pod: Object) -> Plan:
    steps = _Steps([], [])
    initialized = _init(view, pod, steps)
    if initialized:
        for container in containers(pod):
            last = latest(view.seen, container["name"])
            if last is None or (not last.running and not _done(last, restart_policy(pod))):
                steps.begin(view, container["name"])
    strays = tuple(one.id for one in view.seen if one.running and one.sandbox != view.sandbox)
    kill, wake_s = _overdue(view)
    deadline_s = _deadline_s(pod)
    wakes = [*steps.wakes, *(due for due in (wake_s, deadline_s) if due is not None)]
    return Plan(
        remove=tuple(one.id for one in _useless(view.seen)),
        stop=tuple(_unwell(view, pod)),
        kill=tuple(dict.fromkeys(strays + kill)),
        prepare=True,
        start=tuple(steps.start) if not strays else (),
        initialized=initialized,
        wake_s=min(wakes, default=None),
    )


def _done(one: Seen, policy: str) -> bool:
    """Whether a container that is not running shall stay so."""
    return one.state is State.EXITED and policy != "Always" and _over(one, policy)


def _init(view: PodView, pod: Object, steps: _Steps) -> bool:
    """Take the init containers one step further; whether all are through in this sandbox."""
    here = [one for one in view.seen if one.sandbox == view.sandbox and one.state is not State.CREATED]
    began = any(latest(here, container["name"]) for container in containers(pod))
    for container in init_containers(pod):
        name = container["name"]
        last = latest(here, name)
        if is_sidecar(container):
            if last is None or not last.running:
                steps.begin(view, name, init=True)
            elif last.id in view.started:
                continue
            if not began:
                return False
        elif not began and not (last and last.state is State.EXITED and last.exit_code == 0):
            if last is None or not last.running:
                steps.begin(view, name, init=True)
            return False
    return True


def _useless(seen: Sequence[Seen]) -> list[Seen]:
    """Containers that never ran, and dead ones but the newest of each name (its log is the previous one)."""
    dead: dict[str, list[Seen]] = {}
    for one in seen:
        if not one.running:
            dead.setdefault(one.name, []).append(one)
    useless = []
    for group in dead.values():
        ran = sorted((one for one in group if one.state is State.EXITED), key=lambda one: one.attempt)
        useless += [one for one in group if one.state is State.CREATED] + ran[:-1]
    return useless


def _unwell(view: PodView, pod: Object) -> list[Stop]:
    """Running containers that must be replaced: a probe gave up on them, or their definition changed."""
    stop = []
    defined = {container["name"]: container for container in [*init_containers(pod), *containers(pod)]}
    for one in view.seen:
        container = defined.get(one.name)
        if not one.running or one.id in view.stopping or container is None:
            continue
        if probe := view.unhealthy.get(one.id):
            own = container.get(f"{probe.lower()}Probe", {}).get("terminationGracePeriodSeconds")
            grace_s = float(own) if own is not None else grace_period_s(pod)
            message = f"Container {one.name} failed {probe.lower()} probe, will be restarted"
            stop.append(Stop(one.id, one.name, grace_s, message))
        elif one.spec_hash != container_hash(container):
            message = f"Container {one.name} definition changed, will be restarted"
            stop.append(Stop(one.id, one.name, grace_period_s(pod), message))
    return stop
