"""How containers stop. Pure; the kubelet's ``killContainer`` and ``kuberuntime_termination_order.go``.

Every container is told at once: its preStop handler runs. Its stop signal follows when the handler is through and its
turn has come (sidecars wait for the main containers, and then for the sidecars that began after them), or when the
grace is over. Whatever was left of the grace, two seconds lie between the signal and the kill.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from picluster.api.types import Object
from picluster_agent.sync.model import Plan, PodView, Seen, Stop, Stopping
from picluster_agent.sync.spec import containers, sidecars

GRACE_MIN_S = 1.0
"""A pod is never given less, whatever it or who deletes it asks for."""
SIGNAL_MIN_S = 2.0
"""A container has at least this long between its stop signal and its end by force."""
KILL_AGAIN_S = 10.0
"""A killed container that is still there is killed again after this time."""


@dataclass(frozen=True, slots=True)
class Pressure:
    """What those that were told to stop need next."""

    signal: tuple[str, ...] = ()
    kill: tuple[str, ...] = ()
    wakes: list[float] = field(default_factory=list)


def wind_down(view: PodView, grace_s: float) -> Plan:
    """Stop what runs, take the sandbox down, and let the API object go."""
    running = [one for one in view.seen if one.running]
    if running:
        return _stop_all(view, running, max(grace_s, GRACE_MIN_S))
    if view.busy:
        return Plan()
    if not view.torn_down:
        return Plan(tear_down=True)
    if view.pod is None:
        return Plan(remove=tuple(one.id for one in view.seen), release=True)
    return Plan(release=bool(view.pod["metadata"].get("deletionTimestamp")))


def stop_abruptly(view: PodView, running: list[Seen]) -> Plan:
    """Without preStop handlers: all containers begin anew (KEP-5532)."""
    stop = [
        Stop(one.id, one.name, 0.0, f"Stopping container {one.name}", hook=False)
        for one in running
        if one.id not in view.stopping
    ]
    pressed = pressure(view, view.pod)
    return Plan(
        stop=tuple(stop),
        signal=pressed.signal,
        kill=pressed.kill,
        prepare=True,
        wake_s=min(pressed.wakes, default=None),
    )


def _stop_all(view: PodView, running: list[Seen], grace_s: float) -> Plan:
    stop = []
    for one in running:
        told = view.stopping.get(one.id)
        if told is None:
            stop.append(Stop(one.id, one.name, grace_s, f"Stopping container {one.name}"))
        elif view.now_s + grace_s < told.deadline_s:
            stop.append(Stop(one.id, one.name, grace_s))
    pressed = pressure(view, view.pod, in_turn=True)
    return Plan(stop=tuple(stop), signal=pressed.signal, kill=pressed.kill, wake_s=min(pressed.wakes, default=None))


def pressure(view: PodView, pod: Object | None, *, in_turn: bool = False) -> Pressure:
    """Who gets its signal now, who is killed, and when to look again."""
    signal, kill, wakes = [], [], []
    for one in view.seen:
        told = view.stopping.get(one.id)
        if not one.running or told is None:
            continue
        due_s = _due(told)
        if told.signalled_s is None and told.hooked and not (in_turn and _before(view, pod, one)):
            signal.append(one.id)
        elif view.now_s < due_s:
            wakes.append(due_s)
        elif told.signalled_s is None:
            signal.append(one.id)
        else:
            kill.append(one.id)
    return Pressure(tuple(signal), tuple(kill), wakes)


def _due(told: Stopping) -> float:
    """When the next step is taken against a container that does not end."""
    if told.signalled_s is None:
        return told.deadline_s
    if told.killed_s is None:
        return max(told.deadline_s, told.signalled_s + SIGNAL_MIN_S)
    return told.killed_s + KILL_AGAIN_S


def _before(view: PodView, pod: Object | None, one: Seen) -> bool:
    """Whether a container that must end before ``one`` still runs."""
    names = [container["name"] for container in sidecars(pod)] if pod is not None else []
    if pod is None or one.name not in names:
        return False
    first = {container["name"] for container in containers(pod)} | set(names[names.index(one.name) + 1 :])
    return any(other.running and other.name in first for other in view.seen)
