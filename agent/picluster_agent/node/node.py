"""Registers the node, reports its status, renews its lease.

The status is sent when something in it changed, and every five minutes; that the node lives is said by the lease,
twice a second on a rack. A Node that somebody deleted is registered again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from picluster import VERSION
from picluster.api.errors import ApiError
from picluster.api.meta import now_rfc3339
from picluster.api.profiles import PROFILES
from picluster.api.resources import NODES
from picluster.api.types import Object
from picluster.client import Client, EventRecorder, Informer, LeaseRenewer, PatchType, TransportError
from picluster.util.backoff import Backoff
from picluster.util.clock import Clock
from picluster.util.tasks import Tasks
from picluster_agent import machine
from picluster_agent.config import Config
from picluster_agent.node import conditions, events, features, registration
from picluster_agent.node.images import images
from picluster_agent.podman import runtimes
from picluster_agent.podman.client import Podman, PodmanError, PodmanUnavailable
from picluster_agent.volumes.mounts import RECURSIVE_WORKS

log = logging.getLogger(__name__)

CHECK_S = 2.0
REPORT_S = 300.0
SIZE_S = 10.0
IMAGES_S = 60.0
RETRY_S = 4.0
ANSWER_S = 2.0
"""How long Podman may take to list its images before the status goes without."""
USER_NAMESPACES = False
"""Podman 4.3 cannot map the users of volumes, so pods have none of their own."""
REGISTER_MIN_S = 0.2
REGISTER_MAX_S = 7.0


@dataclass(frozen=True, slots=True)
class Sources:
    """Whom the node asks about itself.

    ``problems`` say why no pod can run here now, once ``settle`` is through; ``board`` gives conditions of the
    hardware, of the types in ``board_types`` only; ``capacity`` and ``allocatable`` are Kubernetes resource lists.
    """

    problems: Callable[[], Awaitable[Sequence[str]]]
    settle: Callable[[], Awaitable[None]]
    pressure: Callable[[], machine.Pressure]
    capacity: Callable[[], Mapping[str, str]]
    allocatable: Callable[[], Mapping[str, str]]
    board: Callable[[], Iterable[Object]] = tuple
    board_types: Sequence[str] = ()
    volumes_in_use: Callable[[], Sequence[str]] = tuple


@dataclass(slots=True)
class _Told:
    """What the API server was last told, and when."""

    status: Object = field(default_factory=dict)
    at_s: float = -REPORT_S


class Node:
    def __init__(
        self, config: Config, client: Client, podman: Podman, clock: Clock, recorder: EventRecorder, sources: Sources
    ) -> None:
        self._config = config
        self._client = client
        self._podman = podman
        self._clock = clock
        self._recorder = recorder
        self._sources = sources
        self._informer = Informer(client, NODES, field_selector=f"metadata.name={config.node_name}")
        self._labels = registration.labels(config, machine.architecture(), machine.board_label())
        self._types = (*conditions.OWN, *sources.board_types)
        self._on_pod_cidr: Callable[[str], None] = lambda cidr: None
        self._port: Callable[[], int] = lambda: config.serving.port
        self._gone = asyncio.Event()
        self._changed = asyncio.Event()
        self._tasks = Tasks("node")
        self._info: Object = {}
        self._handlers: list[Object] = []
        self._images: list[Object] = []
        self._images_s = -IMAGES_S
        self._version = "unknown"
        self._capacity: Mapping[str, str] = {}
        self._allocatable: Mapping[str, str] = {}
        self._swap_bytes = 0
        self._sized_s = -SIZE_S
        self._lease: asyncio.Task[None] | None = None

    def start(self, on_pod_cidr: Callable[[str], None], port: Callable[[], int]) -> None:
        """``port`` tells where the agent's server listens."""
        self._on_pod_cidr = on_pod_cidr
        self._port = port
        self._informer.add_handler(self._node_changed)
        self._tell([events.STARTING])
        self._tasks.spawn(self._run(), "status")

    def changed(self) -> None:
        """Something that the status says may be different: look now."""
        self._sized_s = -SIZE_S
        self._changed.set()

    def shuts_down(self, said: str) -> None:
        """The board begins to shut down, or does not after all; ``said`` is the event."""
        self._tell([events.NodeEvent(events.NORMAL, "Shutdown", said)])
        self._changed.set()

    @property
    def current(self) -> Object | None:
        """The Node as the API server was last heard to have it."""
        return self._informer.get(self._config.node_name)

    async def close(self) -> None:
        await self._tasks.close()

    def _tell(self, found: Iterable[events.NodeEvent]) -> None:
        about = events.reference(self._config.node_name)
        for one in found:
            self._recorder.event(about, one.type, one.reason, one.message)

    def _node_changed(self, old: Object | None, new: Object | None) -> None:
        if new is None:
            self._gone.set()
            self._changed.set()
            return
        if cidr := new["spec"].get("podCIDR"):
            self._on_pod_cidr(cidr)
        if old is not None:
            self._tell(events.schedulable(self._config.node_name, old, new))
        if registration.correction(new, self._labels) is not None:
            self._changed.set()

    async def _run(self) -> None:
        registered = await self._register()
        self._tasks.spawn(self._informer.run(), "informer")
        await self._sources.settle()
        await self._report(registered)

    def _renew_lease_of(self, registered: Object) -> None:
        """Begin to renew the lease, or go on as that of a Node which was made anew."""
        name, uid = self._config.node_name, registered["metadata"]["uid"]
        if self._lease is not None:
            self._lease.cancel()
        timing = PROFILES[self._config.profile]
        lease = LeaseRenewer(
            self._client,
            name=name,
            holder=name,
            interval_s=timing.lease_interval_s,
            duration_s=timing.lease_duration_s,
            owner={"apiVersion": "v1", "kind": "Node", "name": name, "uid": uid},
        )
        self._lease = self._tasks.spawn(lease.run(), "lease")

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
        name, status = self._config.node_name, await self._status({})
        self._tell(events.transitions(name, (), (one for one in status["conditions"] if one["type"] != "Ready")))
        try:
            created = await self._client.create(NODES, registration.node(self._config, self._labels, status))
            log.info("node %s registered", name)
        except ApiError as error:
            if error.code != 409:
                raise
            created = await self._correct(await self._client.get(NODES, name))
            log.info("node %s is registered already", name)
            self._tell(events.rebooted(name, created.get("status") or {}, status["nodeInfo"]["bootID"]))
            self._node_changed(None, created)  # with its pod range, so that the first report says Ready
        self._gone.clear()
        self._renew_lease_of(created)
        return created

    async def _correct(self, current: Object) -> Object:
        patch = registration.correction(current, self._labels)
        if patch is None:
            return current
        return await self._client.patch(NODES, self._config.node_name, patch, kind=PatchType.MERGE)

    async def _report(self, known: Object) -> None:
        """Send the status when it changed, and now and then anyway."""
        told = _Told()
        while True:
            self._changed.clear()
            try:
                if self._gone.is_set():
                    known, told = await self._register(), _Told()
                known = await self._report_once(self.current or known, told)
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

    async def _report_once(self, current: Object, told: _Told) -> Object:
        current = await self._correct(current)
        before = current.get("status") or {}
        status = await self._status(before)
        said = status["conditions"]
        known = conditions.essence(before.get("conditions") or (), self._types)
        overruled = known != conditions.essence(said, self._types)
        due = self._clock.monotonic() - told.at_s >= REPORT_S
        if not (due or overruled or self._essence(status) != self._essence(told.status)):
            return current
        patch = {"status": {**status, "conditions": conditions.as_patch(said, before, self._types)}}
        answer = await self._client.patch(
            NODES, self._config.node_name, patch, kind=PatchType.STRATEGIC, subresource="status"
        )
        if known:
            self._tell(events.transitions(self._config.node_name, before.get("conditions") or (), said))
        told.status, told.at_s = status, self._clock.monotonic()
        return answer

    def _essence(self, status: Object) -> Object:
        """What is worth a write when it changes: everything but the heartbeats."""
        return {**status, "conditions": conditions.essence(status["conditions"], self._types)} if status else {}

    async def _status(self, previous: Object) -> Object:
        await self._ask_podman()
        self._size()
        sources, now = self._sources, now_rfc3339(self._clock.now())
        problems = await sources.problems()
        status: Object = {
            "addresses": [
                {"type": "InternalIP", "address": self._config.node_ip},
                {"type": "Hostname", "address": self._config.node_name},
            ],
            "allocatable": registration.with_extended(self._allocatable, previous.get("capacity") or {}),
            "capacity": dict(self._capacity),
            "conditions": conditions.conditions(previous, sources.pressure(), problems, sources.board(), now),
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self._port()}},
            "declaredFeatures": list(features.DECLARED),
            "features": {"supplementalGroupsPolicy": True},
            "images": self._images,
            "nodeInfo": {**self._info, "swap": {"capacity": self._swap_bytes}},
            "runtimeHandlers": self._handlers,
        }
        if volumes := sources.volumes_in_use():
            status["volumesInUse"] = list(volumes)
        elif previous.get("volumesInUse"):
            status["volumesInUse"] = None
        return status

    def _size(self) -> None:
        """How large the node is changes seldom, and to find out costs more than the rest of a look."""
        if self._clock.monotonic() - self._sized_s >= SIZE_S:
            self._sized_s = self._clock.monotonic()
            self._capacity, self._allocatable = self._sources.capacity(), self._sources.allocatable()
            self._swap_bytes = machine.swap_bytes()

    async def _ask_podman(self) -> None:
        """What changes seldom, seldom: Podman's version and images."""
        if self._info and self._clock.monotonic() - self._images_s < IMAGES_S:
            return
        try:
            async with asyncio.timeout(ANSWER_S):
                self._version = await self._podman.version()
                self._images = images(await self._podman.images())
            self._images_s = self._clock.monotonic()
        except (PodmanError, PodmanUnavailable, TimeoutError) as error:
            self._images_s = self._clock.monotonic() - IMAGES_S + RETRY_S
            log.debug("cannot ask podman for its images: %s", error)
        self._info = machine.node_info(VERSION, self._version)
        self._handlers = features.runtime_handlers(
            runtimes.installed(), recursive_read_only=RECURSIVE_WORKS, user_namespaces=USER_NAMESPACES
        )
