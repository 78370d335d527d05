"""What a pod uses of what the node may run out of, as a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from picluster.api.podresources import pod_requests
from picluster.api.types import Object

NANO = 1_000_000_000


@dataclass(frozen=True, slots=True)
class DiskUse:
    """Bytes and inodes by container (``roots`` are writable layers) and by volume."""

    roots: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    logs: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    volumes: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def total(self, *kinds: str) -> tuple[int, int]:
        """Bytes and inodes of the given kinds together."""
        listed = [pair for kind in kinds for pair in getattr(self, kind).values()]
        return sum(used for used, _ in listed), sum(inodes for _, inodes in listed)


@dataclass(frozen=True, slots=True)
class PodUse:
    """``memory_bytes`` is the working set, of the pod and of each container."""

    pod: Object
    memory_bytes: int = 0
    containers: Mapping[str, int] = field(default_factory=dict)
    processes: int = 0
    disk: DiskUse = field(default_factory=DiskUse)

    def request(self, name: str) -> int:
        """What the pod requests, in whole units."""
        return -(-pod_requests(self.pod["spec"]).get(name, 0) // NANO)

    @property
    def priority(self) -> int:
        return int(self.pod["spec"].get("priority") or 0)
