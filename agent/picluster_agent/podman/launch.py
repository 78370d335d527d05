"""What is known of a container that shall be made: the values that its create body is computed from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from picluster.api.types import Object
from picluster_agent.podman import layers
from picluster_agent.podman.env import NodeFacts
from picluster_agent.podman.identity import Accounts


@dataclass(frozen=True, slots=True)
class Mount:
    """A bind mount of ``source`` on the host to ``target`` in the container."""

    source: Path
    target: str
    read_only: bool = False
    propagation: str = "rprivate"
    no_exec: bool = False
    plain: bool = False
    """Neither devices nor programs of another user's rights work in it."""
    relabel: bool = False
    """Put the container's SELinux label on the content."""


@dataclass(frozen=True, slots=True)
class Device:
    """A device of the host, by the path and with the permissions (``r``, ``w``, ``m``) that the container gets."""

    source: Path
    target: str
    permissions: str = "mrw"


@dataclass(frozen=True, slots=True)
class Image:
    """What the agent must know of a local image: its id and the defaults in its configuration."""

    id: str
    user: str = ""
    stop_signal: str = ""
    layers: tuple[Path, ...] = ()
    """Where its files are on the disk, the uppermost layer first."""

    @classmethod
    def from_inspect(cls, inspected: Object) -> Image:
        config = inspected.get("Config") or {}
        return cls(
            str(inspected["Id"]),
            str(config.get("User") or ""),
            str(config.get("StopSignal") or ""),
            layers.of_inspect(inspected),
        )


@dataclass(frozen=True, slots=True)
class Launch:
    """One attempt at one container, with everything looked up."""

    pod: Object
    container: Object
    attempt: int
    sandbox: str
    namespaces: Mapping[str, Path]
    """``net``, ``ipc``, ``uts``: where the sandbox's namespaces are pinned."""
    env: Mapping[str, str]
    image: Image
    mounts: Sequence[Mount]
    log_path: Path
    node: NodeFacts
    target_pid: int = 0
    """A process whose PID namespace an ephemeral container joins (``targetContainerName``); 0 for none."""
    devices: Sequence[Device] = ()
    cgroup_parent: str = ""
    """The pod's control group, below which Podman makes the container's; empty where pods have none."""
    accounts: Accounts | None = field(default_factory=Accounts)
    """The image's users and groups; ``None`` where its files cannot be read before it is started."""
    pids: Path | None = None
    """Where the PID namespace is that the pod's containers share (``shareProcessNamespace``)."""
    runtime: str = ""
    """The OCI runtime of the pod's runtime class; empty for the node's own."""
