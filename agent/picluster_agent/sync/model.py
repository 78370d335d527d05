"""The values that the sync loop decides on: what is seen, and what is to be done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from picluster.api.types import Object
from picluster_agent.podman.users import LinuxUser

EXIT_LOST = 255
"""The exit code of a container that a power cut took, as containerd reports it."""


EXIT_NOT_STARTED = 128
"""The exit code of a container whose first process could not be run, as containerd reports it."""


class State(Enum):
    CREATED = "created"
    RUNNING = "running"
    EXITED = "exited"


@dataclass(frozen=True, slots=True)
class Seen:
    """One container of a pod, as Podman shows it. ``attempt`` counts from 0; times are epoch seconds, 0 for none."""

    id: str
    name: str
    attempt: int
    state: State
    sandbox: str = ""
    spec_hash: str = ""
    exit_code: int = 0
    created_s: float = 0.0
    started_s: float = 0.0
    finished_s: float = 0.0
    image: str = ""
    image_id: str = ""
    stop_signal: str = "SIGTERM"
    reason: str = ""
    message: str = ""
    user: LinuxUser | None = None

    @property
    def running(self) -> bool:
        return self.state is State.RUNNING


class Waiting(NamedTuple):
    """Why a container does not run: ``reason`` (``ErrImagePull``) and a sentence."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Stopping:
    """A container that was told to stop, and how far that is. Times are epoch seconds."""

    deadline_s: float
    """The end of its grace."""
    hooked: bool = True
    """Its preStop handler is through, or there is none."""
    signalled_s: float | None = None
    killed_s: float | None = None


@dataclass(frozen=True, slots=True)
class PodView:
    """Everything ``plan`` may look at. ``pod`` is ``None`` once the API server no longer has it."""

    pod: Object | None
    seen: tuple[Seen, ...]
    sandbox: str | None
    now_s: float
    start_time: str = ""
    """When the pod was first seen here, where the API server has not been told yet."""
    started: frozenset[str] = frozenset()
    """Ids of running containers whose startup probe succeeded, or that have none."""
    unhealthy: Mapping[str, str] = field(default_factory=dict)
    """Container id to the probe (``Liveness``, ``Startup``) that it has failed too often."""
    stopping: Mapping[str, Stopping] = field(default_factory=dict)
    replacing: frozenset[str] = frozenset()
    """Ids of containers that were stopped so that another takes their place, whatever the restart policy."""
    not_before: Mapping[str, float] = field(default_factory=dict)
    """Container name to the epoch second before which it must not be started (crash or image back-off)."""
    busy: frozenset[str] = frozenset()
    """Names of containers that are being started at this moment."""
    torn_down: bool = False
    """Namespaces, mounts and directories are gone."""
    ruling: Outcome | None = None
    """The node does not take the pod, or takes it off."""
    dead_max: int = 1
    """How many dead containers of each name are kept, the last one in any case."""
    resized: frozenset[str] = frozenset()
    """Names of containers that get their new resources by starting again."""
    removed_grace_s: float = 0.0
    """How long containers of a pod that the API server no longer has may take to stop."""


@dataclass(frozen=True, slots=True)
class Start:
    name: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Stop:
    """Tell a container to stop within ``grace_s``. ``message`` is the Killing event's; none: only the grace changes."""

    id: str
    name: str
    grace_s: float
    message: str = ""
    replace: bool = False
    """Another attempt takes its place."""
    hook: bool = True
    """Its preStop handler runs first."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The pod is over: ``phase`` is Succeeded or Failed."""

    phase: str
    reason: str = ""
    message: str = ""
    disruption: str = ""
    """The message of its DisruptionTarget condition, where the node itself ended it."""
    grace_s: float | None = None
    """What its containers have to stop, where that is not the pod's own to say."""
    bare: bool = False
    """It never came to run here: nothing else is said of it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do now, in this order: remove, stop, signal, kill, prepare, start; or renew, tear down, or release."""

    remove: tuple[str, ...] = ()
    """Ids of containers of no further use."""
    stop: tuple[Stop, ...] = ()
    signal: tuple[str, ...] = ()
    """Ids of containers whose turn to get their stop signal has come."""
    kill: tuple[str, ...] = ()
    """Ids of containers whose grace is over."""
    prepare: bool = False
    """Directories, volumes, sandbox and network shall stand; nothing starts before they do."""
    start: tuple[Start, ...] = ()
    renew: str = ""
    """The container that asked for all containers to begin anew (RestartAllContainers); none of them runs any more."""
    outcome: Outcome | None = None
    tear_down: bool = False
    release: bool = False
    """Nothing of the pod is left on this node: its API object may go."""
    wake_s: float | None = None
    """Look again at this epoch second, if nothing else happens."""

    @property
    def idle(self) -> bool:
        """Nothing is to be done but to wait."""
        return self == Plan(wake_s=self.wake_s, prepare=self.prepare, outcome=self.outcome)


def latest(seen: Sequence[Seen], name: str) -> Seen | None:
    """The newest attempt of a container."""
    return max((one for one in seen if one.name == name), key=lambda one: one.attempt, default=None)


def earlier(seen: Sequence[Seen], one: Seen) -> Seen | None:
    """The attempt before this one, where it is still known."""
    return latest([other for other in seen if other.attempt < one.attempt], one.name)
