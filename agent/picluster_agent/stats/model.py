"""What was found at one moment. Times are epoch seconds; counters rise as long as what they count is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from picluster.api.types import Object
from picluster_agent.cgroups.usage import Usage


@dataclass(frozen=True, slots=True)
class Interface:
    name: str
    rx_bytes: int = 0
    rx_packets: int = 0
    rx_errors: int = 0
    rx_dropped: int = 0
    tx_bytes: int = 0
    tx_packets: int = 0
    tx_errors: int = 0
    tx_dropped: int = 0


@dataclass(frozen=True, slots=True)
class BlockIo:
    """What one block device (``/dev/sda``) has done for a group."""

    device: str
    read_bytes: int = 0
    written_bytes: int = 0
    reads: int = 0
    writes: int = 0


class Stall(NamedTuple):
    """For how long tasks have waited (microseconds), and which share of the last seconds, in percent."""

    total_us: int = 0
    avg10: float = 0.0
    avg60: float = 0.0
    avg300: float = 0.0


class Pressure(NamedTuple):
    """``some`` tasks waited, or ``full`` all of them (pressure stall information, version 2 only)."""

    some: Stall = Stall()
    full: Stall = Stall()


@dataclass(frozen=True, slots=True)
class Measured:
    """The usage of one control group, and what it used of processors lately (billionths of a core)."""

    group: str
    usage: Usage
    nano_cores: int = 0
    io: tuple[BlockIo, ...] = ()
    pressure: Mapping[str, Pressure] = field(default_factory=dict)
    """By ``cpu``, ``memory`` and ``io``; empty where the kernel does not tell."""


@dataclass(frozen=True, slots=True)
class ContainerSample:
    name: str
    id: str
    image: str
    started_s: float
    measured: Measured
    definition: Object = field(default_factory=dict, compare=False)
    """The container as the pod specifies it."""


@dataclass(frozen=True, slots=True)
class PodSample:
    """``interfaces`` is ``None`` for a pod of the host's network."""

    uid: str
    namespace: str
    name: str
    started_s: float
    containers: tuple[ContainerSample, ...]
    measured: Measured | None = None
    interfaces: tuple[Interface, ...] | None = None


@dataclass(frozen=True, slots=True)
class NodeSample:
    at_s: float
    node: str
    booted_s: float
    measured: Measured
    memory_bytes: int
    swap_bytes: int
    processors: int
    interfaces: tuple[Interface, ...] = ()
    pods: tuple[PodSample, ...] = ()
    system: Mapping[str, tuple[float, Measured]] = field(default_factory=dict)
    """Start and usage of the agent (``kubelet``), of Podman (``runtime``) and of all pods (``pods``)."""
    pid_max: int = 0
    processes: int = 0


@dataclass(frozen=True, slots=True)
class DiskSpace:
    """A file system, and what something uses of it."""

    capacity_bytes: int
    available_bytes: int
    inodes: int
    inodes_free: int
    used_bytes: int | None = None
    inodes_used: int | None = None


@dataclass(frozen=True, slots=True)
class VolumeSpace:
    name: str
    space: DiskSpace
    claim: str = ""
    ephemeral: bool = True


@dataclass(frozen=True, slots=True)
class PodDisks:
    """``roots`` and ``logs`` by container name."""

    roots: Mapping[str, DiskSpace] = field(default_factory=dict)
    logs: Mapping[str, DiskSpace] = field(default_factory=dict)
    volumes: tuple[VolumeSpace, ...] = ()


@dataclass(frozen=True, slots=True)
class Disks:
    at_s: float
    node: DiskSpace
    images: DiskSpace
    pods: Mapping[str, PodDisks] = field(default_factory=dict)
