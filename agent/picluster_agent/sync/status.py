"""A pod's status, from its specification and what is seen of its containers. Pure.

Phases, conditions, reasons and messages are the kubelet's (``getPhase``, ``convertToAPIContainerStatuses`` and
``status.GeneratePodReadyCondition`` in Kubernetes 1.36).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from picluster.api.meta import get_condition, now_rfc3339
from picluster.api.podresources import qos_class
from picluster.api.types import Object
from picluster_agent.sync import spec
from picluster_agent.sync.model import Outcome, Seen, State

RUNTIME = "podman"


class Waiting(NamedTuple):
    """Why a container does not run: ``reason`` (``ErrImagePull``) and a sentence."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class StatusInput:
    """What a status is made of, beside the pod."""

    seen: tuple[Seen, ...]
    sandbox: str | None
    now_s: float
    host_ip: str
    pod_ip: str = ""
    attached: bool = False
    """The sandbox stands and has its network."""
    initialized: bool = False
    waiting: Mapping[str, Waiting] = field(default_factory=dict)
    ready: frozenset[str] = frozenset()
    """Ids of running containers that may take traffic."""
    started: frozenset[str] = frozenset()
    messages: Mapping[str, str] = field(default_factory=dict)
    """Container id to what it left in its termination message file."""
    outcome: Outcome | None = None


def pod_status(pod: Object, world: StatusInput) -> Object:
    """The whole ``status`` as the agent sees it; fields and conditions of others are carried over."""
    previous = pod.get("status") or {}
    init = [_container_status(pod, one, world, previous) for one in spec.init_containers(pod)]
    main = [_container_status(pod, one, world, previous) for one in spec.containers(pod)]
    deleted = bool(pod["metadata"].get("deletionTimestamp"))
    over = world.outcome is not None or deleted
    running = any(one.running for one in world.seen)
    if over and not running:
        init, main = [_ended(one) for one in init], [_ended(one) for one in main]
    phase = _phase(pod, init, main, world, over and not running)
    status: Object = {
        "observedGeneration": pod["metadata"].get("generation", 1),
        "phase": phase,
        "conditions": _conditions(pod, init, main, world, phase, previous),
        "hostIP": world.host_ip,
        "hostIPs": [{"ip": world.host_ip}],
        "startTime": previous.get("startTime") or now_rfc3339(world.now_s),
        "qosClass": previous.get("qosClass") or qos_class(pod["spec"]),
        "containerStatuses": main,
    }
    if init:
        status["initContainerStatuses"] = init
    ip = world.pod_ip or (previous.get("podIP", "") if not world.attached else "")
    if ip:
        status["podIP"] = ip
        status["podIPs"] = [{"ip": ip}]
    if world.outcome is not None:
        status.update({key: value for key, value in _why(world.outcome).items() if value})
    return status


def _why(outcome: Outcome) -> dict[str, str]:
    return {"reason": outcome.reason, "message": outcome.message}


# -- containers --------------------------------------------------------------------------------------------------------


def _container_status(pod: Object, container: Object, world: StatusInput, previous: Object) -> Object:
    name = container["name"]
    attempts = sorted((one for one in world.seen if one.name == name and one.state is not State.CREATED), key=_attempt)
    last = attempts[-1] if attempts else None
    waiting = world.waiting.get(name)
    status: Object = {
        "name": name,
        "image": container.get("image", ""),
        "imageID": last.image_id if last else "",
        "ready": False,
        "restartCount": last.attempt if last else 0,
        "started": False,
        "state": {},
        "lastState": {},
    }
    if last is None:
        return _never_ran(pod, status, waiting, world, previous)
    status["containerID"] = f"{RUNTIME}://{last.id}"
    if last.running:
        status["state"] = {"running": {"startedAt": now_rfc3339(last.started_s)}}
        status["started"] = last.id in world.started
        status["ready"] = last.id in world.ready
        before = attempts[-2] if len(attempts) > 1 else None
        status["lastState"] = _terminated(before, world) if before else _remembered(previous, name)
    elif waiting is not None:
        status["state"] = {"waiting": _waiting(waiting)}
        status["lastState"] = _terminated(last, world)
    else:
        status["state"] = _terminated(last, world)
        regular = container in spec.init_containers(pod) and not spec.is_sidecar(container)
        status["ready"] = regular and last.exit_code == 0
    _describe(container, status)
    return status


def _attempt(one: Seen) -> int:
    return one.attempt


def _never_ran(pod: Object, status: Object, waiting: Waiting | None, world: StatusInput, previous: Object) -> Object:
    """No container of that name is known here; what the API server has seen of earlier ones is kept."""
    before = _reported(previous, status["name"])
    status["restartCount"] = before.get("restartCount", 0)
    status["lastState"] = before.get("lastState") or {}
    if "terminated" in (before.get("state") or {}):
        status.update({key: before[key] for key in ("state", "containerID", "imageID", "ready") if key in before})
        if world.outcome is not None or pod["metadata"].get("deletionTimestamp"):
            return status
    if waiting is None:
        waiting = Waiting("PodInitializing" if spec.init_containers(pod) else "ContainerCreating", "")
    status["state"] = {"waiting": _waiting(waiting)}
    return status


def _reported(previous: Object, name: str) -> Object:
    everyone = [*(previous.get("initContainerStatuses") or ()), *(previous.get("containerStatuses") or ())]
    return next((one for one in everyone if one["name"] == name), {})


def _remembered(previous: Object, name: str) -> Object:
    last: Object = _reported(previous, name).get("lastState") or {}
    return last


def _waiting(waiting: Waiting) -> Object:
    return {"reason": waiting.reason, **({"message": waiting.message} if waiting.message else {})}


def _terminated(one: Seen, world: StatusInput) -> Object:
    ended: Object = {
        "exitCode": one.exit_code,
        "reason": one.reason or ("Error" if one.exit_code else "Completed"),
        "startedAt": _time(one.started_s),
        "finishedAt": _time(one.finished_s),
        "containerID": f"{RUNTIME}://{one.id}",
    }
    if message := world.messages.get(one.id, one.message):
        ended["message"] = message
    return {"terminated": ended}


def _time(epoch_s: float) -> str | None:
    return now_rfc3339(epoch_s) if epoch_s else None


def _describe(container: Object, status: Object) -> None:
    """What the container really got, which for Podman is what was asked for."""
    resources = container.get("resources") or {}
    if resources.get("requests"):
        status["allocatedResources"] = dict(resources["requests"])
    if resources:
        status["resources"] = {key: resources[key] for key in ("limits", "requests") if resources.get(key)}
    mounts = []
    for mount in container.get("volumeMounts") or ():
        one: Object = {"name": mount["name"], "mountPath": mount["mountPath"]}
        if mount.get("readOnly"):
            one.update(readOnly=True, recursiveReadOnly="Disabled")
        mounts.append(one)
    if mounts:
        status["volumeMounts"] = mounts


def _ended(status: Object) -> Object:
    """At the end of a pod every container is terminated, also one that was never found."""
    if "terminated" in status["state"]:
        return status
    if "terminated" in status["lastState"]:
        return {**status, "state": status["lastState"], "lastState": {}, "ready": False, "started": False}
    lost = {
        "exitCode": 137,
        "reason": "ContainerStatusUnknown",
        "message": "The container could not be located when the pod was terminated",
        "startedAt": None,
        "finishedAt": None,
    }
    return {**status, "state": {"terminated": lost}, "ready": False, "started": False}


# -- phase -------------------------------------------------------------------------------------------------------------


def _phase(pod: Object, init: Sequence[Object], main: Sequence[Object], world: StatusInput, over: bool) -> str:
    reported = (pod.get("status") or {}).get("phase")
    if reported in ("Succeeded", "Failed"):
        return str(reported)
    if over:
        if world.outcome is not None:
            return world.outcome.phase
        return "Failed" if any(one["state"]["terminated"]["exitCode"] for one in main) else "Succeeded"
    specs = spec.init_containers(pod)
    if any(_holds_up(one, container) for one, container in zip(init, specs, strict=True)):
        began = any(one.get("containerID") for one in main)
        if not began:
            return "Pending"
    if any(_never_began(one) for one in main):
        return "Pending"
    return "Running"


def _holds_up(status: Object, container: Object) -> bool:
    """Whether an init container still keeps the others from starting."""
    if spec.is_sidecar(container):
        return not status["started"]
    ended = status["state"].get("terminated")
    return ended is None or ended["exitCode"] != 0


def _never_began(status: Object) -> bool:
    return "waiting" in status["state"] and "terminated" not in status["lastState"]


# -- conditions --------------------------------------------------------------------------------------------------------


def _conditions(
    pod: Object, init: Sequence[Object], main: Sequence[Object], world: StatusInput, phase: str, previous: Object
) -> list[Object]:
    initialized = _initialized(pod, init, phase, any(one.get("containerID") for one in main))
    sidecars = [status for status, one in zip(init, spec.init_containers(pod), strict=True) if spec.is_sidecar(one)]
    containers_ready = _containers_ready([*sidecars, *main], phase)
    conditions = [
        {"type": "PodReadyToStartContainers", "status": "True" if world.attached else "False"},
        {"type": "Initialized", **initialized},
        {"type": "Ready", **_ready(pod, containers_ready)},
        {"type": "ContainersReady", **containers_ready},
        {"type": "PodScheduled", "status": "True"},
    ]
    generation = pod["metadata"].get("generation", 1)
    stamp = now_rfc3339(world.now_s)
    return [_stamped(one, get_condition({"status": previous}, one["type"]), generation, stamp) for one in conditions]


def _stamped(condition: Object, before: Object | None, generation: int, now: str) -> Object:
    same = before is not None and before.get("status") == condition["status"]
    since = before.get("lastTransitionTime", now) if same and before is not None else now
    absent = {"reason": None, "message": None, "lastProbeTime": None}  # nulls, so that a patch takes old ones away
    return {**absent, **condition, "observedGeneration": generation, "lastTransitionTime": since}


def _initialized(pod: Object, init: Sequence[Object], phase: str, began: bool) -> Object:
    if phase == "Succeeded":
        return {"status": "True", "reason": "PodCompleted"}
    pairs = zip(init, spec.init_containers(pod), strict=True)
    names = [status["name"] for status, container in pairs if _holds_up(status, container)]
    if not names or began:
        return {"status": "True"}
    message = f"containers with incomplete status: [{' '.join(names)}]"
    return {"status": "False", "reason": "ContainersNotInitialized", "message": message}


def _containers_ready(statuses: Sequence[Object], phase: str) -> Object:
    if phase == "Succeeded":
        return {"status": "False", "reason": "PodCompleted"}
    if phase == "Failed":
        return {"status": "False", "reason": "PodFailed"}
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
