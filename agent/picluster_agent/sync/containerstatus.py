"""``containerStatuses``: one entry for each container of a pod's specification. Pure.

States, reasons and what is remembered of earlier runs are those of the kubelet's ``convertToAPIContainerStatuses``
(Kubernetes 1.36).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from picluster.api.meta import now_rfc3339
from picluster.api.types import Object
from picluster_agent.sync import spec
from picluster_agent.sync.model import Outcome, Seen, State, Waiting
from picluster_agent.volumes import mounts

RUNTIME = "podman"
LOST: Object = {"exitCode": 137, "reason": "ContainerStatusUnknown", "startedAt": None, "finishedAt": None}
LOST_WHEN_DELETED = "The container could not be located when the pod was deleted."


@dataclass(frozen=True, slots=True)
class StatusInput:
    """What a status is made of, beside the pod."""

    seen: tuple[Seen, ...]
    sandbox: str | None
    now_s: float
    start_time: str
    host_ip: str
    pod_ip: str = ""
    attached: bool = False
    """The sandbox stands and has its network."""
    waiting: Mapping[str, Waiting] = field(default_factory=dict)
    ready: frozenset[str] = frozenset()
    """Ids of running containers that may take traffic."""
    started: frozenset[str] = frozenset()
    messages: Mapping[str, str] = field(default_factory=dict)
    """Container id to what it left in its termination message file."""
    outcome: Outcome | None = None
    given: Mapping[str, Object] = field(default_factory=dict)
    """Container name to the resources that it has in fact."""
    notices: tuple[Object, ...] = ()
    """Conditions of a resize that waits or is under way."""
    restarting_all: bool = False
    """A container's end has asked for all of them to begin anew, and that is still going on."""
    ended: bool = False
    """Nothing of the pod runs, and nothing of it will run again."""


def container_status(pod: Object, container: Object, world: StatusInput, previous: Object) -> Object:
    name = container["name"]
    attempts = sorted((one for one in world.seen if one.name == name and one.state is not State.CREATED), key=_attempt)
    last = attempts[-1] if attempts else None
    waiting = world.waiting.get(name)
    before = _reported(previous, name)
    if last is not None and not last.running and _is_forgotten(before, attempts):
        last = None
    status: Object = {
        "name": name,
        "image": container.get("image", ""),
        "imageID": last.image_id if last else "",
        "ready": False,
        "restartCount": max(last.attempt, int(before.get("restartCount") or 0)) if last else 0,
        "started": False,
        "state": {},
        "lastState": {},
    }
    _describe(container, world.given.get(name), status)
    if last is None:
        return _not_here(pod, container, status, waiting, before)
    regular = container in spec.init_containers(pod) and not spec.is_sidecar(container)
    status["containerID"] = f"{RUNTIME}://{last.id}"
    if last.running:
        status["state"] = {"running": {"startedAt": now_rfc3339(last.started_s)}}
        status["started"] = last.id in world.started
        status["ready"] = last.id in world.ready and not regular
        earlier = attempts[-2] if len(attempts) > 1 else None
        status["lastState"] = _terminated(earlier, world) if earlier else before.get("lastState") or {}
    elif waiting is not None:
        status["state"] = {"waiting": _waiting(waiting)}
        status["lastState"] = _terminated(last, world)
    else:
        status["state"] = _terminated(last, world)
        status["ready"] = regular and last.exit_code == 0
        status["lastState"] = _terminated(attempts[-2], world) if len(attempts) > 1 else {}
    _tell_user(status, last, before)
    if stop_signal := (container.get("lifecycle") or {}).get("stopSignal"):
        status["stopSignal"] = stop_signal
    return status


def _is_forgotten(before: Object, attempts: Sequence[Seen]) -> bool:
    """Whether a later attempt than those was told of: its container is gone, and an earlier one is still there."""
    told, count = str(before.get("containerID") or ""), int(before.get("restartCount") or 0)
    later = all(one.attempt < count for one in attempts)
    return bool(told) and later and not any(told.endswith(one.id) for one in attempts)


def _attempt(one: Seen) -> int:
    return one.attempt


def _not_here(pod: Object, container: Object, status: Object, waiting: Waiting | None, before: Object) -> Object:
    """No container of that name is known here; what the API server has seen of earlier ones is kept."""
    state = before.get("state") or {}
    status["restartCount"] = int(before.get("restartCount") or 0)
    status["lastState"] = before.get("lastState") or {}
    status.update({key: before[key] for key in ("containerID", "imageID") if key in before})
    if "terminated" in state:
        if waiting is None:
            return {**status, "state": state, "ready": bool(before.get("ready"))}
        status["lastState"] = state
    elif "running" in state and container in spec.ephemeral_containers(pod):
        return {**status, "state": {"terminated": {**LOST, "message": LOST_WHEN_DELETED}}}
    elif "running" in state and "terminated" not in status["lastState"]:
        message = f"{LOST_WHEN_DELETED}  The container used to be Running"
        status["lastState"] = {"terminated": {**LOST, "message": message}}
        if not pod["metadata"].get("deletionTimestamp"):
            status["restartCount"] += 1
            del status["containerID"]
    if waiting is None:
        waiting = Waiting("PodInitializing" if spec.init_containers(pod) else "ContainerCreating", "")
    status["state"] = {"waiting": _waiting(waiting)}
    return status


def _tell_user(status: Object, last: Seen, before: Object) -> None:
    """As whom it runs or ran; an agent that came later only knows it from what was reported."""
    if last.user is not None:
        linux = {"uid": last.user.uid, "gid": last.user.gid, "supplementalGroups": list(last.user.groups)}
        status["user"] = {"linux": linux}
    elif before.get("containerID") == status["containerID"] and before.get("user"):
        status["user"] = before["user"]


def _reported(previous: Object, name: str) -> Object:
    for group in ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"):
        for one in previous.get(group) or ():
            if one["name"] == name:
                return dict(one)
    return {}


def _waiting(waiting: Waiting) -> Object:
    return {"reason": waiting.reason, **({"message": waiting.message} if waiting.message else {})}


def _terminated(one: Seen, world: StatusInput) -> Object:
    terminated: Object = {
        "exitCode": one.exit_code,
        "reason": one.reason or ("Error" if one.exit_code else "Completed"),
        "startedAt": _time(one.started_s),
        "finishedAt": _time(one.finished_s),
        "containerID": f"{RUNTIME}://{one.id}",
    }
    if message := world.messages.get(one.id, one.message):
        terminated["message"] = message
    return {"terminated": terminated}


def _time(epoch_s: float) -> str | None:
    return now_rfc3339(epoch_s) if epoch_s else None


def _describe(container: Object, given: Object | None, status: Object) -> None:
    """What the container was granted, and the resources that it has in fact."""
    resources = container.get("resources") or {}
    if resources.get("requests"):
        status["allocatedResources"] = dict(resources["requests"])
    has = resources if given is None else given
    status["resources"] = {key: has[key] for key in ("limits", "requests") if has.get(key)}
    if listed := mounts.statuses(container, recursive_works=mounts.RECURSIVE_WORKS):
        status["volumeMounts"] = listed


def ended(status: Object) -> Object:
    """At the end of a pod every container is terminated, also one that was never found."""
    if "terminated" in status["state"]:
        return status
    if "terminated" in status["lastState"]:
        return {**status, "state": status["lastState"], "lastState": {}, "ready": False, "started": False}
    lost = {**LOST, "message": "The container could not be located when the pod was terminated"}
    return {**status, "state": {"terminated": lost}, "ready": False, "started": False}
