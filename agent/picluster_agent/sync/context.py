"""What the sync loop works with: the node's services (``Runtime``) and what is known of one pod (``PodContext``)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from picluster.api.resources import Resource
from picluster.api.types import Object
from picluster.client import Client, EventRecorder
from picluster.util.clock import Clock
from picluster_agent.cgroups.manager import PodGroups
from picluster_agent.network import Network
from picluster_agent.podman.client import Podman
from picluster_agent.podman.env import NodeFacts
from picluster_agent.probes.prober import Prober
from picluster_agent.sync import spec
from picluster_agent.sync.actual import Actual
from picluster_agent.sync.tokenlife import HeldToken
from picluster_agent.sync.watches import ObjectWatches
from picluster_agent.volumes.layout import Place
from picluster_agent.volumes.storage import Storage

if TYPE_CHECKING:
    from picluster_agent.images.manager import Images
    from picluster_agent.sync.resources import PodResources

CRASH_BACKOFF_MAX_S = 300.0
STARTS_MAX = 8
"""Containers that are created and started at one time on this node."""


class SyncError(Exception):
    """A step failed and will be tried again. ``reason`` and the message are those of a Warning event."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


@dataclass(frozen=True, slots=True)
class PodPaths:
    """Where a pod's things are: on the disk, and in the run directory that a power cut empties."""

    disk: Path
    run: Path

    @property
    def volumes(self) -> Path:
        return self.disk / "volumes"

    @property
    def subpaths(self) -> Path:
        return self.disk / "volume-subpaths"

    @property
    def hosts(self) -> Path:
        return self.disk / "etc-hosts"

    @property
    def resolv_conf(self) -> Path:
        return self.disk / "resolv.conf"

    @property
    def allocation(self) -> Path:
        """What the pod was granted."""
        return self.disk / "resources.json"

    @property
    def sandbox_id(self) -> Path:
        return self.run / "id"

    @property
    def hostname(self) -> Path:
        return self.disk / "hostname"

    @property
    def shm(self) -> Path:
        """What the pod's containers share as ``/dev/shm``."""
        return self.run / "shm"

    @property
    def pid_namespace(self) -> Path:
        return self.run / "pid"

    @property
    def pause(self) -> Path:
        """Which process holds the PID namespace; there only when the pod shares one."""
        return self.run / "pause"

    @property
    def oci_runtime(self) -> Path:
        """What the sandbox was made for, by its runtime class."""
        return self.run / "runtime"

    def log(self, container: str, attempt: int) -> Path:
        return self.disk / "logs" / container / f"{attempt}.log"

    def message(self, container: str, attempt: int) -> Path:
        return self.disk / "messages" / container / str(attempt)

    def pins(self, *, host_network: bool = False) -> dict[str, Path]:
        kinds = ("ipc",) if host_network else ("net", "ipc", "uts")
        return {kind: self.run / kind for kind in kinds}


@dataclass(frozen=True, slots=True)
class Places:
    """The directories of all pods."""

    data_dir: Path
    run_dir: Path

    def pod(self, uid: str) -> PodPaths:
        return PodPaths(self.data_dir / "pods" / uid, self.run_dir / "pods" / uid)

    def known(self) -> set[str]:
        """Uids of pods that have left something in either directory."""
        roots = (self.data_dir / "pods", self.run_dir / "pods")
        return {entry.name for root in roots if root.is_dir() for entry in root.iterdir()}


@dataclass(slots=True)
class Runtime:
    """The services of the node that every pod's worker shares."""

    client: Client
    podman: Podman
    images: Images
    network: Network
    recorder: EventRecorder
    actual: Actual
    prober: Prober
    clock: Clock
    places: Places
    node: NodeFacts
    objects: ObjectWatches
    storage: Storage
    groups: PodGroups
    resources: PodResources
    dead_containers_max: int = 1
    resolv_conf: Path = Path("/etc/resolv.conf")
    cluster_dns: tuple[str, ...] = ()
    cluster_domain: str = "cluster.local"
    crash_backoff_max_s: float = CRASH_BACKOFF_MAX_S
    """The longest wait before a container that crashed is started again."""
    starts: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(STARTS_MAX))


@dataclass(slots=True)
class PodContext:
    """What one worker knows of its pod, beside what Podman and the API server say; lost with the agent."""

    uid: str
    pod: Object
    paths: PodPaths
    sandbox: str | None = None
    pod_ip: str = ""
    static: bool = False
    """The pod comes from a file of this node."""
    mirror: Object | None = None
    """How the API server sees a static pod; ``None`` while it does not."""
    start_time: str = ""
    """When the agent first saw the pod, as its status says."""
    prepared: bool = False
    torn_down: bool = False
    oci_runtime: str = ""
    """What the pod's runtime class runs its containers with; empty for the node's own."""
    group: str = ""
    """The pod's control group, below the top; empty where pods have none."""
    volumes: Mapping[str, Place] = field(default_factory=dict)
    stale: set[tuple[str, str]] = field(default_factory=set)
    """Objects behind volumes, by kind and name, that have changed since they were last read."""
    on_stale: Callable[[], None] = lambda: None
    """Told when something became stale."""
    fetched: dict[tuple[str, str], Object | None] = field(default_factory=dict)
    """ConfigMaps and Secrets as last read, by kind and name: what a restart uses while the API server is away."""
    services: dict[str, str] | None = None
    tokens: dict[tuple[str, int], HeldToken] = field(default_factory=dict, repr=False)
    """Service account tokens as last given, by audience and lifetime in seconds."""

    @property
    def namespace(self) -> str:
        return str(self.pod["metadata"]["namespace"])

    @property
    def name(self) -> str:
        return str(self.pod["metadata"]["name"])

    def object_changed(self, resource: Resource, name: str, version: str) -> None:
        """Something that a volume is made from is another one now; an empty version means that it is gone."""
        known = self.fetched.get((resource.kind, name))
        if version != (known["metadata"]["resourceVersion"] if known else ""):
            self.stale.add((resource.kind, name))
            self.on_stale()

    @property
    def host_network(self) -> bool:
        return spec.host_network(self.pod)

    def event(self, runtime: Runtime, kind: str, reason: str, message: str, container: str = "") -> None:
        """Report on the pod, or on one of its containers."""
        group = "spec.containers"
        if container and any(one["name"] == container for one in spec.init_containers(self.pod)):
            group = "spec.initContainers"
        elif container and any(one["name"] == container for one in spec.ephemeral_containers(self.pod)):
            group = "spec.ephemeralContainers"
        path = f"{group}{{{container}}}" if container else ""
        runtime.recorder.event(self.pod, kind, reason, message, field_path=path)
