"""emptyDir: a directory on the disk, in memory, or in huge pages, that lives as long as its pod (KEP-1967)."""

from __future__ import annotations

import os
from pathlib import Path

from picluster.api import quantity
from picluster.api.podresources import pod_limits
from picluster.api.types import Object
from picluster_agent import kernel
from picluster_agent.podman.env import ConfigError, NodeFacts
from picluster_agent.volumes import ownership, tmpfs

HUGE_PAGES = Path("/sys/kernel/mm/hugepages")
MODE = 0o777


def set_up(path: Path, source: Object, pod: Object, node: NodeFacts) -> None:
    """Present already means made by an earlier sync: its content is the pod's and stays."""
    medium = source.get("medium") or ""
    path.mkdir(parents=True, exist_ok=True)
    if medium and not kernel.is_mount(path):
        if medium == "Memory":
            limit_bytes = memory_bytes(source, pod, node)
            tmpfs.mount(path, *((f"size={limit_bytes}",) if limit_bytes else ()))
        else:
            page = page_size(medium, pod)
            _check_host(page)
            kernel.mount("nodev", path, "hugetlbfs", 0, f"pagesize={page}")
    found = path.stat()
    gid = ownership.fs_group(pod)
    if found.st_mode & MODE != MODE:
        path.chmod(MODE)
    if gid >= 0 and (found.st_gid != gid or not found.st_mode & 0o2000):
        os.chown(path, -1, gid)
        path.chmod(0o2000 | MODE)


def memory_bytes(source: Object, pod: Object, node: NodeFacts) -> int:
    """How much a volume in memory may hold: the least of its own limit, the pod's, and what pods get of the node."""
    bounds = [quantity.value(node.allocatable["memory"]) if "memory" in node.allocatable else node.memory_bytes]
    bounds.append(pod_limits(pod["spec"]).get("memory", 0) // quantity.nanos("1"))
    own = source.get("sizeLimit")
    bounds.append(quantity.value(own) if own is not None else 0)
    return min((bound for bound in bounds if bound > 0), default=0)


def page_size(medium: str, pod: Object) -> str:
    """``2M`` for ``HugePages-2Mi``; for ``HugePages``, the one size that the pod's containers ask for."""
    name = medium.removeprefix("HugePages").removeprefix("-")
    if not name:
        spec = pod["spec"]
        requests = [
            (container.get("resources") or {}).get("requests") or {}
            for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ()))
        ]
        sizes = {key.removeprefix("hugepages-") for one in requests for key in one if key.startswith("hugepages-")}
        if not sizes:
            raise ConfigError("hugePages storage medium has no hugePages requested")
        if len(sizes) > 1:
            raise ConfigError("medium HugePages can be used only if a single page size is requested")
        name = sizes.pop()
    return name.removesuffix("i")


def _check_host(page: str) -> None:
    size_kib = quantity.value(page + "i") // 1024
    if not (HUGE_PAGES / f"hugepages-{size_kib}kB").is_dir():
        raise ConfigError(f"this node has no huge pages of {page}i")
