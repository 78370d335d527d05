"""Pods that get other resources while they run (KEP-1287): what may be granted, what must be done, what is said. PURE.

``pkg/kubelet/allocation`` and ``kuberuntime_manager.go`` of Kubernetes 1.36. Only processors and memory can be resized.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from picluster.api.podresources import pod_requests, qos_class
from picluster.api.types import Object
from picluster_agent.admission.critical import is_static, shown
from picluster_agent.admission.decide import NodeView, shortages
from picluster_agent.cgroups.values import UNLIMITED, GroupLimits
from picluster_agent.podman.limits import container_limits
from picluster_agent.sync import allocation, spec
from picluster_agent.sync.allocation import Resources

RESIZED = ("cpu", "memory")
PENDING = "PodResizePending"
IN_PROGRESS = "PodResizeInProgress"
DEFERRED = "Deferred"
INFEASIBLE = "Infeasible"
ERROR = "Error"


@dataclass(frozen=True, slots=True)
class Notice:
    """A condition that is true: ``reason`` and ``message`` are empty while a resize is under way without trouble."""

    type: str
    generation: int
    reason: str = ""
    message: str = ""
    since_s: float = 0.0

    @property
    def condition(self) -> Object:
        texts = {"reason": self.reason, "message": self.message}
        found = {key: text for key, text in texts.items() if text}
        return {"type": self.type, "status": "True", "observedGeneration": self.generation, **found}


def refused(pod: Object, others: Sequence[Object], node: NodeView) -> tuple[str, str] | None:
    """Why the node does not grant what ``pod`` asks for now: reason and message; ``None`` when it does."""
    if is_static(pod):
        return INFEASIBLE, "In-place resize of static-pods is not supported"
    wanted = pod_requests(pod["spec"])
    for name in reversed(RESIZED):
        capacity = node.allocatable.get(name, 0)
        if wanted.get(name, 0) > capacity:
            amounts = f"requested: {shown(name, wanted[name])}, capacity: {shown(name, capacity)}"
            return INFEASIBLE, f"Node didn't have enough capacity: {name}, {amounts}"
    short = shortages(pod, others, node)
    return (DEFERRED, short[0].message) if short else None


def rank(pod: Object, allocated: Resources, pending_since_s: float) -> tuple[bool, int, bool, float]:
    """Resizes that wait are tried in this order: those that ask for no more, priority, class, who waits longest."""
    before, now = (pod_requests(one["spec"]) for one in (allocation.applied(pod, allocated), pod))
    more = any(now.get(name, 0) > before.get(name, 0) for name in RESIZED)
    return more, -(pod["spec"].get("priority") or 0), qos_class(pod["spec"]) != "Guaranteed", pending_since_s


def restarts(pod: Object, actuated: Resources) -> frozenset[str]:
    """Names of containers that take their new resources only when they start again (``resizePolicy``)."""
    found = set()
    for container in spec.all_containers(pod):
        name = container["name"]
        if name in actuated and any(
            _policy(container, kind) == "RestartContainer"
            for kind in changed(container.get("resources"), actuated[name])
        ):
            found.add(name)
    return frozenset(found)


def _policy(container: Object, name: str) -> str:
    listed = container.get("resizePolicy") or ()
    return next((str(one["restartPolicy"]) for one in listed if one["resourceName"] == name), "NotRequired")


def changed(wanted: Object | None, given: Object | None) -> list[str]:
    """Which of processors and memory differ."""

    def only(resources: Object | None, name: str) -> Object:
        kinds = ("requests", "limits")
        return {kind: {name: had[name]} for kind in kinds if name in (had := (resources or {}).get(kind) or {})}

    return [name for name in RESIZED if not allocation.same(only(wanted, name), only(given, name))]


@dataclass(frozen=True, slots=True)
class Target:
    """A group that is given ``new`` where it had ``old``; ``container`` is empty for the pod's own."""

    container: str
    old: GroupLimits
    new: GroupLimits


def targets(pod: Object, actuated: Resources, running: Mapping[str, str]) -> list[Target]:
    """The running containers (names to ids) whose limits change without a restart."""
    before, found = allocation.applied(pod, actuated), []
    for container in spec.all_containers(pod):
        name = container["name"]
        if name in running and name in actuated and changed(container.get("resources"), actuated[name]):
            old = container_limits(before["spec"], spec.container(before, name) or {})
            found.append(Target(name, old, container_limits(pod["spec"], container)))
    return found


def steps(whole: Target | None, containers: Sequence[Target]) -> list[tuple[str, GroupLimits]]:
    """What is written where, in order: what a pod may have is never less than what its containers may.

    Memory first, then processors; more for the pod before its containers, less after them; less for a container
    before more for another.
    """
    listed: list[tuple[str, GroupLimits]] = []
    for memory in (True, False):
        own = sorted(containers, key=lambda one: _grows(one, memory))
        parts = [(one.container, _part(one, memory)) for one in own]
        if whole is not None:
            place = 0 if _grows(whole, memory) else len(parts)
            parts.insert(place, (whole.container, _part(whole, memory)))
        listed += parts
    return listed


def _grows(one: Target, memory: bool) -> bool:
    if memory:
        return _bound(one.new.memory_bytes) > _bound(one.old.memory_bytes)
    return _bound(one.new.cpu_quota_us) > _bound(one.old.cpu_quota_us)


def _bound(limit: int | None) -> float:
    return float("inf") if limit in (None, UNLIMITED) else float(limit or 0)


def _part(one: Target, memory: bool) -> GroupLimits:
    if memory:
        return GroupLimits(memory_bytes=one.new.memory_bytes)
    return GroupLimits(cpu_shares=one.new.cpu_shares, cpu_quota_us=one.new.cpu_quota_us)


def too_low(whole: Target | None, containers: Sequence[Target], used_bytes: Mapping[str, int]) -> str:
    """Why a memory limit must not sink: more is in use (by container, empty for the pod). Nothing when it may."""
    complaints = []
    for one in [*([whole] if whole else []), *containers]:
        limit, used = one.new.memory_bytes, used_bytes.get(one.container, 0)
        if limit is None or limit == UNLIMITED or _bound(limit) >= _bound(one.old.memory_bytes) or used < limit:
            continue
        name = f'container "{one.container}"' if one.container else "pod"
        complaints.append(f"attempting to set {name} memory limit ({limit}) below current usage ({used})")
    if not complaints:
        return ""
    listed = complaints[0] if len(complaints) == 1 else f"[{', '.join(complaints)}]"
    return f"cannot decrease memory limits: {listed}"


def summary(pod: Object, generation: int, error: str = "") -> str:
    """The JSON that events of a resize carry."""

    def entry(container: Object) -> Object:
        resources = container.get("resources") or {}
        shown_ = {kind: dict(sorted(resources[kind].items())) for kind in ("limits", "requests") if resources.get(kind)}
        return {"name": container["name"], "resources": shown_}

    sidecars = [entry(one) for one in spec.init_containers(pod) if spec.is_sidecar(one)]
    document: Object = {"initContainers": sidecars} if sidecars else {}
    document["containers"] = [entry(one) for one in spec.containers(pod)]
    document["generation"] = generation
    if error:
        document["error"] = error
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)
