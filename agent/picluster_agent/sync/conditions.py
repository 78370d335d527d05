"""A pod's conditions, from its containers' statuses. Pure.

The rules are those of the kubelet's ``status/generate.go`` (Kubernetes 1.36).
"""

from __future__ import annotations

from collections.abc import Sequence

from picluster.api.meta import condition_is, get_condition, now_rfc3339
from picluster.api.types import Object
from picluster_agent.sync import spec
from picluster_agent.sync.containerstatus import StatusInput
from picluster_agent.sync.restarts import may_restart_all

TERMINAL = {"Succeeded": "PodCompleted", "Failed": "PodFailed"}

PASSING = ("PodResizePending", "PodResizeInProgress")
"""Conditions of this agent that are there only while they are true."""


def conditions(
    pod: Object, init: Sequence[Object], main: Sequence[Object], world: StatusInput, phase: str, previous: Object
) -> list[Object]:
    initialized = _initialized(pod, init, phase, any(one.get("containerID") for one in main))
    if initialized["status"] == "False" and may_restart_all(pod) and condition_is({"status": previous}, "Initialized"):
        initialized = {"status": "True"}  # all containers begin anew; the pod has been through that before
    sidecars = [status for status, one in zip(init, spec.init_containers(pod), strict=True) if spec.is_sidecar(one)]
    containers_ready = _containers_ready([*sidecars, *main], phase)
    found = [
        {"type": "PodReadyToStartContainers", "status": "True" if world.attached else "False"},
        {"type": "Initialized", **initialized},
        {"type": "Ready", **_ready(pod, containers_ready)},
        {"type": "ContainersReady", **containers_ready},
        {"type": "PodScheduled", "status": "True"},
    ]
    if may_restart_all(pod):
        found.append({"type": "AllContainersRestarting", **_restarting(world, phase)})
    generation = pod["metadata"].get("generation", 1)
    stamp = now_rfc3339(world.now_s)
    found += [*world.notices, *_disruption(world)]
    told = [_stamped(one, get_condition({"status": previous}, one["type"]), generation, stamp) for one in found]
    return [*told, *_past(previous, told)]


def _disruption(world: StatusInput) -> list[Object]:
    """A pod that the node ended by itself (KEP-3329)."""
    if world.outcome is None or not world.outcome.disruption or not world.ended:
        return []
    message = world.outcome.disruption
    return [{"type": "DisruptionTarget", "status": "True", "reason": "TerminationByKubelet", "message": message}]


def _past(previous: Object, told: Sequence[Object]) -> list[Object]:
    """Takes conditions away that are there only while they are true."""
    now = {one["type"] for one in told}
    gone = [kind for kind in PASSING if kind not in now and get_condition({"status": previous}, kind) is not None]
    return [{"$patch": "delete", "type": kind} for kind in gone]


def _restarting(world: StatusInput, phase: str) -> Object:
    if phase in TERMINAL:
        return {"status": "False", "reason": TERMINAL[phase]}
    if not world.restarting_all:
        return {"status": "False"}
    message = "container exited with restart policy rule"
    return {"status": "True", "reason": "RestartAllContainersStarted", "message": message}


def _stamped(condition: Object, before: Object | None, generation: int, now: str) -> Object:
    same = before is not None and before.get("status") == condition["status"]
    since = before.get("lastTransitionTime", now) if same and before is not None else now
    absent = {"reason": None, "message": None, "lastProbeTime": None}  # nulls, so that a patch takes old ones away
    return {**absent, "observedGeneration": generation, **condition, "lastTransitionTime": since}


def _initialized(pod: Object, init: Sequence[Object], phase: str, began: bool) -> Object:
    if phase == "Succeeded":
        return {"status": "True", "reason": "PodCompleted"}
    pairs = zip(init, spec.init_containers(pod), strict=True)
    names = [status["name"] for status, container in pairs if holds_up(status, container)]
    if not names or began:
        return {"status": "True"}
    message = f"containers with incomplete status: [{' '.join(names)}]"
    return {"status": "False", "reason": "ContainersNotInitialized", "message": message}


def _containers_ready(statuses: Sequence[Object], phase: str) -> Object:
    if phase in TERMINAL:
        return {"status": "False", "reason": TERMINAL[phase]}
    unready = [one["name"] for one in statuses if not one["ready"]]
    if not unready:
        return {"status": "True"}
    message = f"containers with unready status: [{' '.join(unready)}]"
    return {"status": "False", "reason": "ContainersNotReady", "message": message}


def _ready(pod: Object, containers_ready: Object) -> Object:
    if containers_ready["status"] != "True":
        return containers_ready
    complaints = []
    for gate in pod["spec"].get("readinessGates") or ():
        kind = gate["conditionType"]
        condition = get_condition(pod, kind)
        if condition is None:
            complaints.append(f'corresponding condition of pod readiness gate "{kind}" does not exist.')
        elif condition.get("status") != "True":
            complaints.append(f'the status of pod readiness gate "{kind}" is not "True", but {condition.get("status")}')
    if complaints:
        return {"status": "False", "reason": "ReadinessGatesNotReady", "message": ", ".join(complaints)}
    return {"status": "True"}


def holds_up(status: Object, container: Object) -> bool:
    """Whether an init container still keeps the others from starting."""
    if spec.is_sidecar(container):
        return not status["started"]
    ended = status["state"].get("terminated")
    return ended is None or ended["exitCode"] != 0
