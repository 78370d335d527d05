"""A pod's status, from its specification and what is seen of its containers. Pure.

Phases and their reasons are the kubelet's (``getPhase`` in Kubernetes 1.36); ``containerstatus`` and ``conditions``
make the parts.
"""

from __future__ import annotations

from collections.abc import Sequence

from picluster.api.podresources import qos_class
from picluster.api.types import Object
from picluster_agent.sync import spec
from picluster_agent.sync.conditions import conditions, holds_up
from picluster_agent.sync.containerstatus import StatusInput, container_status, ended
from picluster_agent.sync.model import Outcome


def pod_status(pod: Object, world: StatusInput) -> Object:
    """The whole ``status`` as the agent sees it; fields and conditions of others are carried over."""
    previous = pod.get("status") or {}
    init = [container_status(pod, one, world, previous) for one in spec.init_containers(pod)]
    main = [container_status(pod, one, world, previous) for one in spec.containers(pod)]
    deleted = bool(pod["metadata"].get("deletionTimestamp"))
    over = world.outcome is not None or deleted
    running = any(one.running for one in world.seen)
    if over and not running:
        init, main = [ended(one) for one in init], [ended(one) for one in main]
    phase = _phase(pod, init, main, world, over and not running)
    status: Object = {
        "observedGeneration": pod["metadata"].get("generation", 1),
        "phase": phase,
        "conditions": conditions(pod, init, main, world, phase, previous),
        "hostIP": world.host_ip,
        "hostIPs": [{"ip": world.host_ip}],
        "startTime": previous.get("startTime") or world.start_time,
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


def _phase(pod: Object, init: Sequence[Object], main: Sequence[Object], world: StatusInput, over: bool) -> str:
    reported = (pod.get("status") or {}).get("phase")
    if reported in ("Succeeded", "Failed"):
        return str(reported)
    if over:
        if world.outcome is not None:
            return world.outcome.phase
        return "Failed" if any(one["state"]["terminated"]["exitCode"] for one in main) else "Succeeded"
    specs = spec.init_containers(pod)
    if any(holds_up(one, container) for one, container in zip(init, specs, strict=True)):
        began = any(one.get("containerID") for one in main)
        if not began:
            return "Pending"
    if any(_never_began(one) for one in main):
        return "Pending"
    return "Running"


def _never_began(status: Object) -> bool:
    return "waiting" in status["state"] and "terminated" not in status["lastState"]
