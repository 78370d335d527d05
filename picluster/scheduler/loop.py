"""The scheduler's loop: follow pods and nodes, take the next pod, decide, assume, bind.

Deciding is one at a time and without waiting, on a snapshot that the watches and the loop's own assumptions keep up
to date; bindings run beside it, a bounded number at once. A pod is never bound twice: it is decided only while it has
no node, assumed until the watch shows it bound, and the API server refuses a second Binding (so a scheduler that
crashed half-way, or two of them, bind nothing twice). A binding whose answer got lost counts until the API server
says what became of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import socket
import uuid
from collections.abc import Callable, Sequence
from enum import Enum

from picluster.api.errors import ApiError
from picluster.api.meta import key_of
from picluster.api.podresources import being_resized, held_requests
from picluster.api.resources import NODES, PODS
from picluster.api.types import Object
from picluster.client import Client, EventRecorder, Informer, TransportError
from picluster.runtime import LeaderElector
from picluster.scheduler.binder import COMPONENT, SERVER_ERROR, Binder
from picluster.scheduler.classes import Classes
from picluster.scheduler.decide import Unschedulable
from picluster.scheduler.model import DISKS, PodInfo, pod_info
from picluster.scheduler.queue import SchedulingQueue
from picluster.scheduler.snapshot import Snapshot
from picluster.scheduler.volumebinder import NotBound, VolumeBinder
from picluster.scheduler.volumeplan import plan_for
from picluster.scheduler.volumes import Plan
from picluster.util.clock import Clock
from picluster.util.tasks import Tasks

log = logging.getLogger(__name__)
SCHEDULER_NAME = "default-scheduler"
LEASE = "kube-scheduler"
WRITES_MAX = 64
"""Bindings and refusals under way at once; the loop waits for one of them to end before it decides further."""


async def run(client: Client, clock: Clock, *, elect_leader: bool = False) -> None:
    """Schedule until cancelled.

    With ``elect_leader``, wait for the lease first; raises ``LeadershipLost`` when that is lost. Two that decide at the
    same time bind no pod twice, but both may give away the same room.
    """

    async def lead() -> None:
        async with EventRecorder(client, COMPONENT, host="") as recorder:
            await Scheduler(client, recorder, clock).run()

    if not elect_leader:
        await lead()
        return
    identity = f"{socket.gethostname()}_{os.getpid()}_{uuid.uuid4()}"
    await LeaderElector(client, LEASE, identity, clock=clock).run(lead)


class Scheduler:
    def __init__(self, client: Client, recorder: EventRecorder, clock: Clock, rng: random.Random | None = None) -> None:
        self._clock = clock
        self._rng = rng or random.Random()  # noqa: S311 - spreads ties, keeps no secret
        self._binder = Binder(client, recorder, clock)
        self._pods = Informer(client, PODS, transform=trimmed)
        self._nodes = Informer(client, NODES)
        self._snapshot = Snapshot()
        self._classes = Classes()
        self._queue = SchedulingQueue()
        self._wake = asyncio.Event()
        self._helped_by: set[Change] = set()
        self._slots = asyncio.Semaphore(WRITES_MAX)
        self._tasks = Tasks("scheduler")
        self._volumes = VolumeBinder(client, self._snapshot.volumes, lambda: self._changed(Change.VOLUMES))

    async def run(self) -> None:
        self._nodes.add_handler(self._on_node)
        self._pods.add_handler(self._on_pod)
        self._tasks.spawn(self._nodes.run(), "nodes")
        self._tasks.spawn(self._pods.run(), "pods")
        try:
            await self._nodes.wait_synced()
            await self._pods.wait_synced()
            while True:
                await self._next()
        finally:
            await self._tasks.close()
            await self._volumes.close()

    async def _next(self) -> None:
        if self._helped_by:
            self._queue.move(self._clock.monotonic(), could_help(frozenset(self._helped_by)))
            self._helped_by.clear()
        pod = self._queue.pop(self._clock.monotonic())
        if pod is None:
            await self._rest()
            return
        if pod.claims and not await self._volumes.ready():
            self._queue.park(pod, self._clock.monotonic())
            return
        obj = self._pods.get(pod.key)
        if obj is None or self._snapshot.is_placed(pod.key):
            self._queue.remove(pod.key)
            return
        decision = self._classes.decide(pod, self._snapshot, self._choose)
        if isinstance(decision, Unschedulable):
            self._queue.park(pod, self._clock.monotonic())
        else:
            plan = self._assume(pod, decision)
            if plan is not None:
                self._tasks.spawn(self._act_on(plan, pod, obj, decision), pod.key)
                return
        await self._slots.acquire()
        self._tasks.spawn(self._act(pod, obj, decision), pod.key)

    def _assume(self, pod: PodInfo, node_name: str) -> Plan | None:
        """Count ``pod`` on the node, and its volumes as its own; what is to be written of these first, if anything."""
        snapshot = self._snapshot
        plan = plan_for(pod, snapshot.nodes[node_name], snapshot.volumes) if pod.claims else None
        snapshot.assume(pod, node_name)
        if not isinstance(plan, Plan) or not any(plan):
            return None
        snapshot.volumes.assume(plan, node_name)
        return plan

    async def _rest(self) -> None:
        """Until something changes, or the next pod's back-off is over."""
        at_s = self._queue.next_wake_s()
        alarm = None
        if at_s is not None:
            alarm = self._tasks.spawn(self._ring(at_s - self._clock.monotonic()), "alarm")
        await self._wake.wait()
        self._wake.clear()
        if alarm is not None:
            alarm.cancel()

    async def _ring(self, delay_s: float) -> None:
        await self._clock.sleep(delay_s)
        self._wake.set()

    async def _act(self, pod: PodInfo, obj: Object, decision: str | Unschedulable) -> None:
        try:
            if isinstance(decision, str):
                await self._bind(pod, obj, decision)
            else:
                log.info("%s: %s", pod.key, decision.message())
                with contextlib.suppress(ApiError, TransportError):  # the next try says it again
                    await self._binder.refuse(obj, decision)
        finally:
            self._slots.release()

    async def _act_on(self, plan: Plan, pod: PodInfo, obj: Object, node_name: str) -> None:
        """Bind a pod's volumes, then the pod; while volumes are waited for, no slot is taken."""
        try:
            async with self._slots:
                revisions = await self._volumes.write(plan, node_name)
            await self._volumes.wait(
                plan, node_name, revisions, lambda: self._labels(node_name), lambda: self._is_there(pod)
            )
        except (ApiError, TransportError, NotBound) as error:
            log.info("the volumes of %s are not bound: %s", pod.key, error)
            self._give_back(pod, plan)
            if self._is_there(pod):
                with contextlib.suppress(ApiError, TransportError):  # the next try says it again
                    await self._binder.fail(obj, f'running PreBind plugin "VolumeBinding": {error}')
            return
        async with self._slots:
            await self._bind(pod, obj, node_name)

    def _give_back(self, pod: PodInfo, plan: Plan) -> None:
        self._snapshot.volumes.forget(plan)
        self._snapshot.forget(pod)
        self._queue.park(pod, self._clock.monotonic())
        self._changed(Change.ROOM)

    def _labels(self, node_name: str) -> dict[str, str] | None:
        node = self._snapshot.nodes.get(node_name)
        return None if node is None else dict(node.labels)

    def _is_there(self, pod: PodInfo) -> bool:
        known = self._pods.get(pod.key)
        return known is not None and known["metadata"].get("uid") == pod.uid

    async def _bind(self, pod: PodInfo, obj: Object, node_name: str) -> None:
        try:
            await self._binder.bind(pod, obj, node_name)
        except (ApiError, TransportError) as error:
            refused = isinstance(error, ApiError) and error.code < SERVER_ERROR
            log.log(logging.INFO if refused else logging.WARNING, "%s could not be bound: %s", pod.key, error)
            if refused or not await self._binder.is_bound(pod):
                self._snapshot.forget(pod)
                self._queue.park(pod, self._clock.monotonic())
                self._changed(Change.ROOM)

    def _changed(self, change: Change) -> None:
        """Something that may help parked pods; they are looked at once, however much has changed until then."""
        self._helped_by.add(change)
        self._wake.set()

    def _choose(self, names: Sequence[str]) -> str:
        return names[0] if len(names) == 1 else self._rng.choice(names)

    def _on_pod(self, old: Object | None, new: Object | None) -> None:
        if new is None:
            assert old is not None
            key = key_of(old)
            if self._snapshot.is_placed(key):
                self._changed(Change.ROOM)
            self._snapshot.remove_pod(key)
            self._queue.remove(key)
            self._volumes.wake()
        elif old is None or _placed_as(old) != _placed_as(new):
            self._take(old, new)

    def _take(self, old: Object | None, new: Object) -> None:
        """A pod that is new, or that changed in something a decision looks at."""
        info = pod_info(new)
        self._snapshot.set_pod(new)
        if is_waiting(new):
            if not self._snapshot.is_placed(info.key):
                self._queue.add(info, self._clock.monotonic())
                self._wake.set()
            return
        self._queue.remove(info.key)
        freed = old is not None and not is_finished(old) and is_finished(new)
        self._changed(Change.ROOM if freed else Change.NEIGHBOURS)

    def _on_node(self, old: Object | None, new: Object | None) -> None:
        if new is None:
            assert old is not None
            self._snapshot.remove_node(old["metadata"]["name"])
            self._volumes.wake()
        elif old is None or _placing(old) != _placing(new):
            self._snapshot.set_node(new)
        else:
            return
        self._changed(Change.ROOM)


class Change(Enum):
    """What changed, as far as it tells which parked pods to try again."""

    ROOM = "room"
    """A node came or changed, or a pod went: may help any pod."""
    NEIGHBOURS = "neighbours"
    """A pod was placed or relabelled: helps those that want, or must be evenly spread among, such pods."""
    VOLUMES = "volumes"
    """A claim, a volume, or what is said of a driver changed: helps those that have claims."""


def could_help(changes: frozenset[Change]) -> Callable[[PodInfo], bool]:
    """Whether a parked pod should be tried again after ``changes``. PURE."""
    if Change.ROOM in changes:
        return lambda pod: True
    near, claims = Change.NEIGHBOURS in changes, Change.VOLUMES in changes
    return lambda pod: bool(
        (claims and pod.claims) or (near and (pod.affinity or any(entry.hard for entry in pod.spread)))
    )


def is_waiting(pod: Object) -> bool:
    """Whether the pod is this scheduler's to place now. PURE."""
    spec, metadata = pod["spec"], pod["metadata"]
    return (
        not spec.get("nodeName")
        and spec.get("schedulerName", SCHEDULER_NAME) == SCHEDULER_NAME
        and not spec.get("schedulingGates")
        and not metadata.get("deletionTimestamp")
        and not is_finished(pod)
    )


def is_finished(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


_POD_METADATA = (
    "name", "namespace", "uid", "resourceVersion", "labels", "ownerReferences", "deletionTimestamp",
)  # fmt: skip
_VOLUMES = DISKS | {"persistentVolumeClaim", "ephemeral"}
_CONDITIONS = ("PodScheduled", "PodResizePending")
_CONTAINER = ("name", "image", "resources", "ports", "restartPolicy")


def trimmed(pod: Object) -> Object:
    """A pod without what placing it does not need, so that many of them fit in little memory. PURE."""
    spec, status = pod["spec"], pod.get("status") or {}
    kept = {key: value for key, value in spec.items() if key not in ("volumes", "containers", "initContainers")}
    for group in ("containers", "initContainers"):
        if group in spec:
            kept[group] = [{key: c[key] for key in _CONTAINER if key in c} for c in spec[group]]
    if volumes := [_slim(volume) for volume in spec.get("volumes") or () if not _VOLUMES.isdisjoint(volume)]:
        kept["volumes"] = volumes
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {key: pod["metadata"][key] for key in _POD_METADATA if key in pod["metadata"]},
        "spec": kept,
        "status": {
            "phase": status.get("phase"),
            "conditions": [c for c in status.get("conditions") or [] if c.get("type") in _CONDITIONS],
            **_resizing(pod),
        },
    }


def _resizing(pod: Object) -> Object:
    """What containers hold while it is not what they ask for."""
    kept = ("name", "allocatedResources", "resources")
    held = [{key: one[key] for key in kept if key in one} for one in being_resized(pod).values()]
    return {"containerStatuses": held} if held else {}


def _slim(volume: Object) -> Object:
    """The claim of an ephemeral volume is named after the volume; what it is like does not matter here."""
    return volume if "ephemeral" not in volume else {"name": volume["name"], "ephemeral": {}}


def _placed_as(pod: Object) -> tuple[object, ...]:
    """What of a pod changes decisions; what its node's agent reports does not."""
    metadata = pod["metadata"]
    ending = bool(metadata.get("deletionTimestamp"))
    held = being_resized(pod) and held_requests(pod)
    return (metadata.get("uid"), ending, is_finished(pod), metadata.get("labels"), pod["spec"], held)


def _placing(node: Object) -> tuple[object, ...]:
    """What of a node changes decisions; its heartbeats do not."""
    status = node.get("status") or {}
    return (node["metadata"].get("labels"), node.get("spec"), status.get("allocatable"), status.get("images"))
