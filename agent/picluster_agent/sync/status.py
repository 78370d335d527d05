"""A pod's status, from its specification and what is seen of its containers. Pure.

``containerstatus``, ``phase`` and ``conditions`` make the parts; who reports what is the kubelet's
``generateAPIPodStatus`` and the status manager's ``mergePodStatus`` (Kubernetes 1.36).
"""

from __future__ import annotations

from operator import itemgetter

from picluster.api.podresources import qos_class
from picluster.api.types import Object
from picluster_agent.sync import spec
from picluster_agent.sync.conditions import conditions
from picluster_agent.sync.containerstatus import StatusInput, container_status, ended
from picluster_agent.sync.model import Outcome
from picluster_agent.sync.phase import phase_of

OVER = ("Succeeded", "Failed")
MESSAGES_BYTES_MAX = 12 * 1024
"""All termination messages of a pod; each of its containers has an equal share."""


def pod_status(pod: Object, world: StatusInput) -> Object:
    """The whole ``status`` as the agent sees it; fields and conditions of others are carried over."""
    previous = pod.get("status") or {}
    if world.outcome is not None and world.outcome.bare:
        return _bare(pod, world.outcome)
    groups = [
        [container_status(pod, one, world, previous) for one in listed]
        for listed in (spec.init_containers(pod), spec.containers(pod), spec.ephemeral_containers(pod))
    ]
    if world.ended:
        groups = [[ended(one) for one in group] for group in groups]
    _share_room(groups)
    init, main, ephemeral = groups
    phase = _phase(pod, init, main, world)
    status: Object = {
        "observedGeneration": pod["metadata"].get("generation", 1),
        "phase": phase,
        "conditions": conditions(pod, init, main, world, phase, previous),
        "hostIP": world.host_ip,
        "hostIPs": [{"ip": world.host_ip}],
        "startTime": previous.get("startTime") or world.start_time,
        "qosClass": previous.get("qosClass") or qos_class(pod["spec"]),
        "containerStatuses": sorted(main, key=itemgetter("name")),
    }
    if init:
        status["initContainerStatuses"] = init
    if ephemeral:
        status["ephemeralContainerStatuses"] = sorted(ephemeral, key=itemgetter("name"))
    if own := pod["spec"].get("resources"):
        status["resources"] = world.given.get("", own)
        status["allocatedResources"] = dict(own.get("requests") or {})
    ip = world.pod_ip or (previous.get("podIP", "") if not world.attached else "")
    if ip:
        status["podIP"] = ip
        status["podIPs"] = [{"ip": ip}]
    if world.outcome is not None and phase in OVER:
        why = {"reason": world.outcome.reason, "message": world.outcome.message}
        status.update({key: value for key, value in why.items() if value})
    return status


def _bare(pod: Object, outcome: Outcome) -> Object:
    """What is said of a pod that the node did not take."""
    return {
        "observedGeneration": pod["metadata"].get("generation", 1),
        "phase": outcome.phase,
        "reason": outcome.reason,
        "message": outcome.message,
        "qosClass": (pod.get("status") or {}).get("qosClass") or qos_class(pod["spec"]),
    }


def _phase(pod: Object, init: list[Object], main: list[Object], world: StatusInput) -> str:
    """A pod that is over stays so, and is not called over while something of it runs."""
    reported = str((pod.get("status") or {}).get("phase") or "Pending")
    if reported in OVER:
        return reported
    if world.ended and world.outcome is not None:
        return world.outcome.phase
    found = phase_of(pod, init, main, ended=world.ended)
    return reported if found in OVER and not world.ended else found


def _share_room(groups: list[list[Object]]) -> None:
    """Cut termination messages so that together they fit."""
    share_bytes = MESSAGES_BYTES_MAX // max(sum(map(len, groups)), 1)
    for status in (one for group in groups for one in group):
        for key in ("state", "lastState"):
            terminated = status[key].get("terminated") or {}
            message = str(terminated.get("message") or "")
            if len(message.encode()) > share_bytes:
                short = message.encode()[:share_bytes].decode(errors="ignore")
                status[key] = {"terminated": {**terminated, "message": short}}
