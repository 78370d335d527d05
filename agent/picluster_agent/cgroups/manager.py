"""The control groups of this node's pods: the tree, each pod's group, and that none is left when its pod is gone.

Groups are made when a pod is set up and given what its allocation says. Removing one must wait for Podman to clean up
after the last container (its monitor is in the pod's group), so groups are buried: tried again until they are gone,
emptied by force after a while. What an agent that was killed left behind, the next one finds by ``known``.

Where pods can have no groups (no controllers, a read-only mount, a Podman that leaves groups to systemd) they run
without, each container in the place that Podman chooses; ``problem`` says why.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from picluster.api.podresources import qos_class
from picluster.api.quantity import value
from picluster.api.types import Object
from picluster.util.clock import Clock
from picluster.util.tasks import Tasks
from picluster_agent import machine
from picluster_agent.cgroups import groups, names
from picluster_agent.cgroups.hierarchy import Hierarchy
from picluster_agent.cgroups.values import CPU_SHARES_MIN, GroupLimits, page_size, shares
from picluster_agent.podman import limits
from picluster_agent.podman.client import PodmanError, PodmanUnavailable

log = logging.getLogger(__name__)

CONDITION = "PodGroupsUnavailable"
ASK_AGAIN_S = 1.0
BURY_EACH_S = 0.1
BURY_GENTLY = 50
"""Tries before what is still in a dead pod's group is killed."""
BURY_MAX = 100


class PodGroups:
    """``hierarchy`` is ``None`` on a machine without control groups. ``pids_max`` bounds each pod, 0 does not."""

    def __init__(self, hierarchy: Hierarchy | None, clock: Clock, pids_max: int = 0) -> None:
        self.hierarchy = hierarchy
        self.problem = "" if hierarchy else "no control groups with processors and memory are mounted"
        self._clock = clock
        self._pids_max = pids_max
        self._burstable: dict[str, Object] = {}
        self._burstable_shares = 0
        self._ready = asyncio.Event()
        self._tasks = Tasks("groups")

    @property
    def huge_pages(self) -> tuple[str, ...]:
        """Page sizes that groups here are limited in."""
        if self.hierarchy is None or "hugetlb" not in self.hierarchy.trees:
            return ()
        return tuple(page_size(value(name.removeprefix(limits.HUGE_PAGES))) for name in machine.hugepages())

    @property
    def may_limit_swap(self) -> bool:
        """Whether the kernel counts swap by group."""
        if self.hierarchy is None:
            return False
        if self.hierarchy.version == 1:
            return bool(self.hierarchy.read("memory", "", "memory.memsw.limit_in_bytes"))
        return any(path.exists() for path in self.hierarchy.trees["memory"].glob("*/memory.swap.max"))

    async def start(
        self, manager: Callable[[], Awaitable[str]], kept: Path, *, cpu_milli: int, memory_bytes: int
    ) -> None:
        """Make the tree, bounded by what the node has for pods.

        ``manager`` asks Podman who makes its groups, which takes it a while; what it said last is in ``kept``, so that
        no pod waits for it after a boot.
        """
        known = _recall(kept)
        if known:
            self._begin(known, cpu_milli, memory_bytes)
        kind = ""
        while not kind:
            try:
                kind = await manager()
            except (PodmanError, PodmanUnavailable):
                await self._clock.sleep(ASK_AGAIN_S)
        if kind != known:
            _remember(kept, kind)
            self._begin(kind, cpu_milli, memory_bytes)

    def _begin(self, manager: str, cpu_milli: int, memory_bytes: int) -> None:
        if self.hierarchy is not None:
            self.problem = ""
            try:
                if manager != "cgroupfs":
                    self.problem = f"podman leaves control groups to {manager}: set cgroup_manager to cgroupfs"
                else:
                    self._make_tree(self.hierarchy, cpu_milli, memory_bytes)
            except OSError as error:
                self.problem = f"control groups cannot be made: {error}"
        if self.problem:
            log.warning("pods have no control groups of their own: %s", self.problem)
        self._ready.set()

    def condition(self) -> Object:
        """Of the node: whether its pods have to do without groups of their own."""
        if self.problem:
            return {"type": CONDITION, "status": "True", "reason": "NoPodGroups", "message": self.problem}
        message = "pods have control groups of their own"
        return {"type": CONDITION, "status": "False", "reason": "PodGroupsReady", "message": message}

    def _make_tree(self, hierarchy: Hierarchy, cpu_milli: int, memory_bytes: int) -> None:
        for quality in names.CLASSES:
            groups.create(hierarchy, names.of_class(hierarchy, quality))
        groups.apply(hierarchy, hierarchy.root, GroupLimits(cpu_shares=shares(cpu_milli)))
        try:
            groups.apply(hierarchy, hierarchy.root, GroupLimits(memory_bytes=memory_bytes))
        except OSError as error:  # pods that run already use more: they keep what the last agent gave them
            log.warning("cannot bound the memory of all pods: %s", error)
        for quality in ("Burstable", "BestEffort"):
            groups.apply(hierarchy, names.of_class(hierarchy, quality), GroupLimits(cpu_shares=CPU_SHARES_MIN))
        self._burstable_shares = CPU_SHARES_MIN

    async def close(self) -> None:
        await self._tasks.close()

    async def set_up(self, pod: Object) -> str:
        """Make the pod's group with what its specification says; its name, or nothing where pods have none.

        Raises ``OSError``.
        """
        await self._ready.wait()
        if self.hierarchy is None or self.problem:
            return ""
        uid, spec = pod["metadata"]["uid"], pod["spec"]
        quality = qos_class(spec)
        group = names.of_pod(self.hierarchy, uid, quality)
        groups.create(self.hierarchy, group)
        groups.apply(self.hierarchy, group, self.limits_of(spec))
        if quality == "Burstable":
            self._burstable[uid] = spec
            self._share()
        return group

    def limits_of(self, spec: Object) -> GroupLimits:
        return limits.group_limits(spec, self._pids_max, self.huge_pages)

    def resized(self, pod: Object) -> None:
        """The pod has other requests now."""
        if (uid := pod["metadata"]["uid"]) in self._burstable:
            self._burstable[uid] = pod["spec"]
            self._share()

    def find(self, uid: str) -> str:
        """The group that a pod has here, or nothing."""
        return (names.find_pod(self.hierarchy, uid) if self.hierarchy else None) or ""

    def end_leftovers(self, uid: str, container_id: str) -> None:
        """Kill what a container that has ended left running; without a PID namespace of its own, nobody else does."""
        if self.hierarchy is not None:
            group = names.of_container(self.hierarchy, self.find(uid) or None, container_id)
            if group is not None:
                groups.kill(self.hierarchy, group)

    def bury(self, uid: str) -> None:
        """The pod's containers have ended: its group goes, as soon as it can."""
        if self._burstable.pop(uid, None) is not None:
            self._share()
        if self.hierarchy is not None and (group := self.find(uid)):
            self._tasks.spawn(self._bury(self.hierarchy, group), f"bury {uid}")

    async def _bury(self, hierarchy: Hierarchy, group: str) -> None:
        for attempt in range(BURY_MAX):
            try:
                if groups.remove(hierarchy, group, kill=attempt >= BURY_GENTLY):
                    return
            except OSError as error:
                log.warning("cannot remove control group %s: %s", group, error)
                return
            await self._clock.sleep(BURY_EACH_S)
        log.warning("control group %s is still in use", group)

    def known(self) -> Iterable[str]:
        """Uids of pods that have groups here."""
        if self.hierarchy is None:
            return
        for quality in names.CLASSES:
            for name in groups.children(self.hierarchy, names.of_class(self.hierarchy, quality), names.POD_PREFIX):
                yield name.removeprefix(names.POD_PREFIX)

    def _share(self) -> None:
        """Burstable pods have as many processor shares as they request together."""
        assert self.hierarchy is not None
        wanted = limits.burstable_shares(self._burstable.values())
        if wanted != self._burstable_shares:
            self._burstable_shares = wanted
            group = names.of_class(self.hierarchy, "Burstable")
            try:
                groups.apply(self.hierarchy, group, GroupLimits(cpu_shares=wanted))
            except OSError as error:
                log.warning("cannot share processors among pods: %s", error)


def _recall(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _remember(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError as error:
        log.warning("cannot keep who makes podman's control groups: %s", error)
