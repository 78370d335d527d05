"""The node's own object: registered, kept true, and its lease renewed.

The status is sent when something in it changed, and every five minutes; that the node lives is said by the lease,
twice a second on a rack. A Node that somebody deleted is registered again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from picluster import VERSION
from picluster.api.errors import ApiError
from picluster.api.meta import get_condition, now_rfc3339
from picluster.api.profiles import PROFILES
from picluster.api.resources import NODES
from picluster.api.types import Object
from picluster.client import Client, Informer, LeaseRenewer, PatchType, TransportError
from picluster.util.backoff import Backoff
from picluster.util.clock import Clock
from picluster.util.tasks import Tasks
from picluster_agent import machine
from picluster_agent.config import Config
from picluster_agent.podman.client import Podman, PodmanError, PodmanUnavailable

log = logging.getLogger(__name__)

CHECK_S = 2.0
REPORT_S = 300.0
IMAGES_S = 60.0
IMAGES_MAX = 50
IMAGE_NAMES_MAX = 5
REGISTER_MIN_S = 0.2
REGISTER_MAX_S = 7.0


Ready = Callable[[], Awaitable[tuple[bool, str]]]


class Node:
    """Registers and reports. ``ready`` says whether pods can run here, and if not, why."""

    def __init__(self, config: Config, client: Client, podman: Podman, clock: Clock, ready: Ready) -> None:
        self._config = config
        self._client = client
        self._podman = podman
        self._clock = clock
        self._ready = ready
        self._informer = Informer(client, NODES, field_selector=f"metadata.name={config.node_name}")
        self._on_pod_cidr: Callable[[str], None] = lambda cidr: None
        self._gone = asyncio.Event()
        self._changed = asyncio.Event()
        self._tasks = Tasks("node")
        self._podman_version = ""
        self._images: list[Object] = []
        self._images_s = -IMAGES_S
        self._port = config.serving.port

    def start(self, on_pod_cidr: Callable[[str], None], port: int) -> None:
        """``port`` is where the agent's server listens."""
        self._on_pod_cidr = on_pod_cidr
        self._port = port
        self._informer.add_handler(self._node_changed)
        self._tasks.spawn(self._run(), "status")

    def changed(self) -> None:
        """Something that the status says may be different: look now."""
        self._changed.set()

    async def close(self) -> None:
        await self._tasks.close()

    def _node_changed(self, old: Object | None, new: Object | None) -> None:
        if new is None:
            self._gone.set()
            self._changed.set()
        elif cidr := new["spec"].get("podCIDR"):
            self._on_pod_cidr(cidr)

    async def _run(self) -> None:
        registered = await self._register()
        timing = PROFILES[self._config.profile]
        owner = {
            "apiVersion": "v1",
            "kind": "Node",
            "name": self._config.node_name,
            "uid": registered["metadata"]["uid"],
        }
        lease = LeaseRenewer(
            self._client,
            name=self._config.node_name,
            holder=self._config.node_name,
            interval_s=timing.lease_interval_s,
            duration_s=timing.lease_duration_s,
            owner=owner,
        )
        self._tasks.spawn(lease.run(), "lease")
        self._tasks.spawn(self._informer.run(), "informer")
        await self._report(registered)

    async def _register(self) -> Object:
        """Create the Node, or take over the one that is there; until it succeeds."""
        backoff = Backoff(REGISTER_MIN_S, REGISTER_MAX_S, jitter=0.2)
        while True:
            try:
                return await self._register_once()
            except (ApiError, TransportError) as error:
                log.warning("cannot register node %s: %s", self._config.node_name, error)
                await self._clock.sleep(backoff.next_s())

    async def _register_once(self) -> Object:
        status = await self._status({})
        body = self._object(status)
        try:
            created = await self._client.create(NODES, body)
            log.info("node %s registered", self._config.node_name)
        except ApiError as error:
            if error.code != 409:
                raise
            patch = {"metadata": {"labels": body["metadata"]["labels"]}}
            created = await self._client.patch(NODES, self._config.node_name, patch, kind=PatchType.MERGE)
            log.info("node %s is registered already", self._config.node_name)
            self._node_changed(None, created)  # with its pod range, so that the first report says Ready
        self._gone.clear()
        return created

    def _object(self, status: Object) -> Object:
        labels = {
            "kubernetes.io/hostname": self._config.node_name,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": machine.architecture(),
            "beta.kubernetes.io/os": "linux",
            "beta.kubernetes.io/arch": machine.architecture(),
            **self._config.labels,
        }
        spec: Object = {"taints": [dict(taint) for taint in self._config.taints]} if self._config.taints else {}
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": self._config.node_name, "labels": labels},
            "spec": spec,
            "status": status,
        }

    async def _report(self, known: Object) -> None:
        """Send the status when it changed, and now and then anyway."""
        sent: Object = {}
        sent_s = -REPORT_S
        while True:
            self._changed.clear()
            try:
                if self._gone.is_set():
                    known = await self._register()
                    sent = {}
                current = self._informer.get(self._config.node_name) or known
                status = await self._status(current.get("status") or {})
                due = self._clock.monotonic() - sent_s >= REPORT_S
                overruled = _own_conditions(current.get("status") or {}) != _own_conditions(status)
                if due or overruled or _essence(status) != _essence(sent):
                    patch = {"status": status}
                    known = await self._client.patch(
                        NODES, self._config.node_name, patch, kind=PatchType.STRATEGIC, subresource="status"
                    )
                    sent, sent_s = status, self._clock.monotonic()
            except ApiError as error:
                if error.code == 404:
                    self._gone.set()
                log.warning("cannot report the node's status: %s", error)
            except TransportError as error:
                log.debug("cannot report the node's status: %s", error)
            try:
                async with asyncio.timeout(CHECK_S):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def _status(self, previous: Object) -> Object:
        disk = self._config.data_dir
        disk.mkdir(parents=True, exist_ok=True)
        await self._ask_podman()
        ready, why = await self._ready()
        now = now_rfc3339(self._clock.now())
        return {
            "addresses": [
                {"type": "InternalIP", "address": self._config.node_ip},
                {"type": "Hostname", "address": self._config.node_name},
            ],
            "allocatable": machine.allocatable(disk),
            "capacity": machine.capacity(disk),
            "conditions": conditions(previous, machine.pressure(disk), ready, why, now),
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self._port}},
            "images": self._images,
            "nodeInfo": machine.node_info(VERSION, self._podman_version or "unknown"),
        }

    async def _ask_podman(self) -> None:
        """Version and images, seldom: they change seldom."""
        if self._clock.monotonic() - self._images_s < IMAGES_S:
            return
        try:
            if not self._podman_version:
                self._podman_version = await self._podman.version()
            self._images = images(await self._podman.images())
            self._images_s = self._clock.monotonic()
        except (PodmanError, PodmanUnavailable) as error:
            log.warning("cannot ask podman for its images: %s", error)


def images(listed: Sequence[Object]) -> list[Object]:
    """``status.images``: names and sizes, the largest first."""
    found: list[Object] = []
    for image in listed:
        names = [*(image.get("RepoDigests") or ()), *(image.get("RepoTags") or image.get("Names") or ())]
        if names:
            found.append(
                {"names": list(dict.fromkeys(names))[:IMAGE_NAMES_MAX], "sizeBytes": int(image.get("Size") or 0)}
            )
    return sorted(found, key=lambda one: -one["sizeBytes"])[:IMAGES_MAX]


def conditions(previous: Object, pressure: machine.Pressure, ready: bool, why: str, now: str) -> list[Object]:
    """The node's conditions with the kubelet's reasons and messages."""
    listed = [
        _pressure("MemoryPressure", "Memory", "memory available", pressure.memory),
        _pressure("DiskPressure", "Disk", "disk space", pressure.disk, "DiskPressure", "NoDiskPressure"),
        _pressure("PIDPressure", "PID", "PID available", pressure.pids),
        {
            "type": "Ready",
            "status": "True" if ready else "False",
            "reason": "KubeletReady" if ready else "KubeletNotReady",
            "message": "kubelet is posting ready status" if ready else why,
        },
    ]
    for condition in listed:
        before = get_condition({"status": previous}, condition["type"])
        same = before is not None and before.get("status") == condition["status"]
        condition["lastHeartbeatTime"] = now
        condition["lastTransitionTime"] = before.get("lastTransitionTime", now) if same and before else now
    return listed


def _pressure(kind: str, name: str, what: str, short: bool, bad: str = "", good: str = "") -> Object:
    """``KubeletHasSufficientMemory`` / ``kubelet has sufficient memory available``, and their opposites."""
    if short:
        reason = f"KubeletHas{bad or f'Insufficient{name}'}"
        message = "kubelet has disk pressure" if bad else f"kubelet has insufficient {what}"
    else:
        reason = f"KubeletHas{good or f'Sufficient{name}'}"
        message = "kubelet has no disk pressure" if good else f"kubelet has sufficient {what}"
    return {"type": kind, "status": "True" if short else "False", "reason": reason, "message": message}


def _own_conditions(status: Object) -> list[Object]:
    """The agent's conditions without their times: a controller may have set them to Unknown meanwhile."""
    own = ("MemoryPressure", "DiskPressure", "PIDPressure", "Ready")
    times = ("lastHeartbeatTime", "lastTransitionTime")
    return [
        {key: value for key, value in one.items() if key not in times}
        for one in sorted(status.get("conditions") or (), key=lambda one: str(one["type"]))
        if one["type"] in own
    ]


def _essence(status: Object) -> Object:
    """What is worth a write when it changes: everything but the heartbeats."""
    return {**status, "conditions": _own_conditions(status)} if status else {}
