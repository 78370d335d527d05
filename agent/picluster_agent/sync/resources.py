"""Who was given what on this node: pods admitted, resized, sent away.

Every pod that the API server shows passes through ``take``, which returns it with the resources that it was granted;
that is the pod that all else works with. What asks for more than it was granted waits here (``PodResizePending``) until
there is room; what was granted and not given yet is under way (``PodResizeInProgress``). All of it is small, quick and
synchronous, so that two pods never get the same room; ``pkg/kubelet/allocation`` does the same under a lock.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from picluster.api.types import Object
from picluster.client import EventRecorder
from picluster.util.clock import Clock
from picluster_agent.admission.decide import NodeView, Rejection, admit
from picluster_agent.cgroups import groups, names, usage
from picluster_agent.cgroups.manager import PodGroups
from picluster_agent.cgroups.values import GroupLimits
from picluster_agent.sync import allocation, resize
from picluster_agent.sync.allocation import Allocation
from picluster_agent.sync.model import Outcome
from picluster_agent.sync.resize import ERROR, IN_PROGRESS, INFEASIBLE, PENDING, Notice, Target

log = logging.getLogger(__name__)

RETRY_S = 10.0
"""How soon a resize that failed is tried again."""
OVER = ("Succeeded", "Failed")
PREEMPTED = Outcome(
    "Failed",
    "Preempting",
    "Preempted in order to admit critical pod",
    disruption="Pod was preempted by Kubelet to accommodate a critical pod.",
)


@dataclass(slots=True)
class _Held:
    """One pod. ``desired`` is as the API server has it."""

    desired: Object
    kept: Allocation
    ruling: Outcome | None = None
    pending: Notice | None = None
    progress: Notice | None = None
    whole: GroupLimits | None = None
    """What its group was given last."""
    retry_s: float = 0.0
    awaited: set[str] = field(default_factory=set)
    """Containers that were seen running with what they had, and must start again."""
    over: bool = False
    """Its containers have ended for good: what it was given is free."""

    @property
    def granted(self) -> Object:
        return allocation.applied(self.desired, self.kept.allocated)

    @property
    def standing(self) -> Object:
        """The pod with what its containers have in fact."""
        return allocation.applied(self.desired, {**self.kept.allocated, **self.kept.actuated})


class PodResources:
    """``node`` tells what the node is now; ``path`` is where a pod's allocation is kept, by its uid."""

    def __init__(
        self,
        pod_groups: PodGroups,
        recorder: EventRecorder,
        clock: Clock,
        node: Callable[[], NodeView],
        path: Callable[[str], Path],
    ) -> None:
        self._groups = pod_groups
        self._recorder = recorder
        self._clock = clock
        self._node = node
        self._path = path
        self._pods: dict[str, _Held] = {}
        self._wake: Callable[[str], None] = lambda uid: None

    def listen(self, wake: Callable[[str], None]) -> None:
        """``wake(uid)`` is called when something about a pod was decided that its worker must act on."""
        self._wake = wake

    # -- pods come, change and go --------------------------------------------------------------------------------------

    def take(self, pod: Object, *, here: bool) -> Object:
        """``pod`` with what it was granted. ``here`` says that it ran on this node before this agent knew of it."""
        uid = pod["metadata"]["uid"]
        held = self._pods.get(uid)
        if held is None:
            held = self._pods[uid] = self._first(pod, here)
        else:
            held.desired = pod
            held.over = held.over or _phase(pod) in OVER
        if held.ruling is None and not held.over:
            self._resize(held)
        return held.granted

    def _first(self, pod: Object, here: bool) -> _Held:
        """A pod that runs already keeps what it has; another one is asked whether it may."""
        asked = allocation.of_pod(pod)
        over = _phase(pod) in OVER
        kept = allocation.read(self._path(pod["metadata"]["uid"])) or (allocation.of_status(pod) if here else None)
        if kept is not None:
            missing = {name: resources for name, resources in asked.items() if name not in kept.allocated}
            kept.allocated.update(missing)  # ephemeral containers, or a pod of an agent that knew less
            held = _Held(pod, kept, over=over)
            if any(not allocation.same(one, kept.allocated.get(name)) for name, one in kept.actuated.items()):
                held.progress = Notice(IN_PROGRESS, int(pod["metadata"].get("generation") or 1))
            return held
        held = _Held(pod, Allocation(asked, dict(asked)), over=over)
        if not here and not over and not pod["metadata"].get("deletionTimestamp"):
            self._admit(held)
        return held

    def _admit(self, held: _Held) -> None:
        verdict = admit(held.desired, self._others(held), self._node())
        if verdict.rejection is not None:
            self._reject(held, verdict.rejection)
        for other in verdict.preempt:
            self._recorder.event(other, "Warning", PREEMPTED.reason, PREEMPTED.message)
            self.rule(other["metadata"]["uid"], PREEMPTED)

    def _reject(self, held: _Held, rejection: Rejection) -> None:
        metadata = held.desired["metadata"]
        log.info("pod %s/%s may not run here: %s", metadata["namespace"], metadata["name"], rejection.message)
        self._recorder.event(held.desired, "Warning", rejection.reason, rejection.message)
        message = f"Pod was rejected: {rejection.message}"
        held.ruling = Outcome("Failed", rejection.reason, message, bare=True)
        held.over = True

    def rule(self, uid: str, outcome: Outcome) -> None:
        """The pod must end: it was evicted, or preempted."""
        held = self._pods.get(uid)
        if held is not None and held.ruling is None:
            held.ruling = outcome
            self._wake(uid)

    def ruling(self, uid: str) -> Outcome | None:
        held = self._pods.get(uid)
        return held.ruling if held else None

    def release(self, uid: str) -> None:
        """Nothing of the pod runs any more."""
        held = self._pods.get(uid)
        if held is not None and not held.over:
            held.over = True
            self._retry()

    def forget(self, uid: str) -> None:
        self.release(uid)
        self._pods.pop(uid, None)

    def pods(self) -> list[Object]:
        """The pods that have their place here, with what they were granted."""
        return [held.granted for held in self._pods.values() if not held.over]

    def uids(self) -> list[str]:
        return [uid for uid, held in self._pods.items() if not held.over]

    def _others(self, held: _Held) -> list[Object]:
        return [one.granted for one in self._pods.values() if one is not held and not one.over]

    # -- resizing ------------------------------------------------------------------------------------------------------

    def _resize(self, held: _Held) -> None:
        """Grant what is asked for now, or say why not."""
        asked = allocation.of_pod(held.desired)
        generation = int(held.desired["metadata"].get("generation") or 1)
        changed = [name for name, one in asked.items() if not allocation.same(one, held.kept.allocated.get(name))]
        if not changed:
            held.pending = None
            return
        refused = resize.refused(held.desired, self._others(held), self._node())
        if refused is None:
            held.kept.allocated = asked
            held.pending, held.retry_s = None, 0.0
            held.progress = Notice(IN_PROGRESS, generation)
            self._keep(held)
            said = resize.summary(held.desired, generation)
            self._recorder.event(held.desired, "Normal", "ResizeStarted", f"Pod resize started: {said}")
            self._groups.resized(held.granted)
            return
        reason, message = refused
        before = held.pending
        if before is None or (before.reason, before.message, before.generation) != (reason, message, generation):
            since_s = before.since_s if before is not None else self._clock.now()
            held.pending = Notice(PENDING, generation, reason, message, since_s)
            event = "ResizeInfeasible" if reason == INFEASIBLE else "ResizeDeferred"
            said = resize.summary(held.desired, generation, message)
            self._recorder.event(held.desired, "Warning", event, f"Pod resize {reason}: {said}")

    def _retry(self) -> None:
        """There may be room now for those that wait."""
        waiting = [held for held in self._pods.values() if held.pending and held.pending.reason == resize.DEFERRED]
        for held in sorted(waiting, key=_rank):
            self._resize(held)
            if held.pending is None:
                self._wake(held.desired["metadata"]["uid"])

    def standing(self, pod: Object) -> Object:
        """``pod`` with what its containers have, which is what its group must have room for."""
        held = self._pods.get(pod["metadata"]["uid"])
        return held.standing if held is not None else pod

    def prepared(self, uid: str) -> None:
        """The pod's directory and group stand. Raises ``OSError``."""
        if held := self._pods.get(uid):
            held.whole = self._groups.limits_of(held.standing["spec"])
            if not self._path(uid).exists():
                self._keep(held, durable=False)  # what is lost with the power is found in the pod's status

    def started(self, uid: str, name: str) -> None:
        """A container was made with what it was granted, and starts."""
        held = self._pods.get(uid)
        granted = held.kept.allocated.get(name) if held else None
        if held is not None:
            held.awaited.discard(name)
        if held is not None and granted is not None and held.kept.actuated.get(name) != granted:
            held.kept.actuated[name] = granted
            self._keep(held)

    def restarts(self, uid: str) -> frozenset[str]:
        """Names of containers that must start again to get what they were granted."""
        held = self._pods.get(uid)
        if held is None or held.progress is None:
            return frozenset()
        return resize.restarts(held.granted, held.kept.actuated)

    def actuate(self, uid: str, running: Mapping[str, str]) -> None:
        """Give running containers (names to ids) and their pod what they were granted."""
        held = self._pods.get(uid)
        if held is None or held.progress is None or self._clock.now() < held.retry_s:
            return
        pod, kept = held.granted, held.kept
        again = resize.restarts(pod, kept.actuated) & set(running)
        containers = [one for one in resize.targets(pod, kept.actuated, running) if one.container not in again]
        whole = self._whole(held, pod)
        try:
            problem = self._give(uid, whole, containers, running)
        except OSError as error:
            problem = str(error)
        if problem:
            self._fail(held, problem)
            return
        for one in containers:
            kept.actuated[one.container] = kept.allocated[one.container]
        if whole is not None:
            held.whole = whole.new
        if containers or whole is not None:
            if allocation.WHOLE_POD in kept.allocated:
                kept.actuated[allocation.WHOLE_POD] = kept.allocated[allocation.WHOLE_POD]
            self._keep(held)
        held.awaited |= again
        if not held.awaited:
            self._complete(held)

    def _whole(self, held: _Held, pod: Object) -> Target | None:
        if not self._groups.find(pod["metadata"]["uid"]):
            return None
        old = held.whole or self._groups.limits_of(allocation.applied(pod, held.kept.actuated)["spec"])
        new = self._groups.limits_of(pod["spec"])
        return Target("", old, new) if old != new else None

    def _give(self, uid: str, whole: Target | None, containers: list[Target], running: Mapping[str, str]) -> str:
        hierarchy = self._groups.hierarchy
        if hierarchy is None:
            return "" if not containers else "no control groups are mounted"
        group = names.find_pod(hierarchy, uid)
        places = {name: names.of_container(hierarchy, group, running[name]) for name in running}
        if group:
            places[""] = group
        read = {name: usage.read(hierarchy, place) for name, place in places.items() if place}
        used = {name: one.memory_bytes for name, one in read.items() if one is not None}
        if problem := resize.too_low(whole, containers, used):
            return problem
        for name, limits in resize.steps(whole, containers):
            if place := places.get(name):
                groups.apply(hierarchy, place, limits)
        return ""

    def _fail(self, held: _Held, problem: str) -> None:
        assert held.progress is not None
        held.retry_s = self._clock.now() + RETRY_S
        if held.progress.message != problem:
            generation = held.progress.generation
            held.progress = Notice(IN_PROGRESS, generation, ERROR, problem)
            said = resize.summary(held.granted, generation, problem)
            self._recorder.event(held.desired, "Warning", "ResizeError", f"Pod resize error: {said}")

    def _complete(self, held: _Held) -> None:
        assert held.progress is not None
        said = resize.summary(held.granted, held.progress.generation)
        self._recorder.event(held.desired, "Normal", "ResizeCompleted", f"Pod resize completed: {said}")
        held.progress = None
        self._retry()

    def _keep(self, held: _Held, *, durable: bool = True) -> None:
        path = self._path(held.desired["metadata"]["uid"])
        if path.parent.is_dir():
            allocation.write(path, held.kept, durable=durable)

    # -- what the status says ------------------------------------------------------------------------------------------

    def notices(self, uid: str) -> tuple[Notice, ...]:
        held = self._pods.get(uid)
        return tuple(one for one in (held.pending, held.progress) if one) if held else ()

    def given(self, uid: str) -> allocation.Resources:
        """What each container really has, by name; empty for the pod as a whole."""
        held = self._pods.get(uid)
        return held.kept.actuated if held else {}

    def wake_s(self, uid: str) -> float | None:
        """When to look at the pod again: a resize that failed is tried again."""
        held = self._pods.get(uid)
        return held.retry_s if held and held.progress and held.progress.reason == ERROR else None


def _rank(held: _Held) -> tuple[bool, int, bool, float]:
    since_s = held.pending.since_s if held.pending else 0.0
    return resize.rank(held.desired, held.kept.allocated, since_s)


def _phase(pod: Object) -> str:
    return str((pod.get("status") or {}).get("phase") or "")
