"""Who is evicted first. PURE.

``pkg/kubelet/eviction/helpers.go``: pods that use more than they request come before those that do not, low priority
before high, and then those that are furthest above their request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from picluster_agent.eviction.usage import PodUse

EVERYTHING: tuple[str, ...] = ("roots", "logs", "volumes")


def ranked(pods: Iterable[PodUse], signal: str, *, split: bool) -> list[PodUse]:
    """``pods`` in the order in which they are evicted for ``signal``.

    ``split``: images and containers have a file system of their own, so that each has its own eaters.
    """
    if signal.startswith(("memory", "allocatableMemory")):
        return _by_excess(pods, lambda one: one.memory_bytes, "memory")
    if signal == "pid.available":
        return sorted(pods, key=lambda one: (one.priority, -one.processes))
    kinds = EVERYTHING
    if split:
        kinds = ("logs", "volumes") if signal.startswith("nodefs") else ("roots",)
    index, name = (1, "inodes") if signal.endswith("inodesFree") else (0, "ephemeral-storage")
    return _by_excess(pods, lambda one: one.disk.total(*kinds)[index], name)


def _by_excess(pods: Iterable[PodUse], used: Callable[[PodUse], int], resource: str) -> list[PodUse]:
    def key(one: PodUse) -> tuple[bool, int, int]:
        compared = one.request("ephemeral-storage" if resource == "inodes" else resource)
        return used(one) <= one.request(resource), one.priority, compared - used(one)

    return sorted(pods, key=key)
