"""Reads what is used, when somebody asks, and remembers it for a second.

Processor use is a rate between two readings; of what is read for the first time it is the mean of its life.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace

from picluster.api.meta import parse_time
from picluster.util.clock import Clock
from picluster_agent import machine
from picluster_agent.cgroups import names, usage
from picluster_agent.cgroups.hierarchy import Hierarchy
from picluster_agent.cgroups.usage import Usage
from picluster_agent.stats import proc
from picluster_agent.stats.model import ContainerSample, Interface, Measured, NodeSample, PodSample
from picluster_agent.sync import spec
from picluster_agent.sync.model import Seen
from picluster_agent.sync.worker import PodWorker

FRESH_S = 1.0
RUNTIME_GROUP = "system.slice/podman.service"

Workers = Callable[[], Iterable[PodWorker]]


class Collector:
    """``seen`` tells the containers of a pod, by its uid; ``hierarchy`` is ``None`` where there are no groups."""

    def __init__(
        self,
        node_name: str,
        hierarchy: Hierarchy | None,
        workers: Workers,
        seen: Callable[[str], tuple[Seen, ...]],
        clock: Clock,
    ) -> None:
        self._node = node_name
        self._hierarchy = hierarchy
        self._workers = workers
        self._seen = seen
        self._clock = clock
        self._reading = asyncio.Lock()
        self._last: NodeSample | None = None
        self._before: dict[str, tuple[int, float]] = {}
        self._groups: dict[str, str] = {}

    async def sample(self) -> NodeSample:
        """What is used now, or was within the last second."""
        async with self._reading:
            now_s = self._clock.now()
            if self._last is None or not 0 <= now_s - self._last.at_s < FRESH_S:
                pods = [(worker, self._seen(worker.context.uid)) for worker in self._workers()]
                self._last = await asyncio.to_thread(self._read, pods, now_s)
            return self._last

    def _read(self, pods: list[tuple[PodWorker, tuple[Seen, ...]]], now_s: float) -> NodeSample:
        rates: dict[str, tuple[int, float]] = {}
        read = [self._pod(worker, seen, now_s, rates) for worker, seen in pods]
        stat = proc.read_process("", "stat")
        memory = machine.meminfo(proc.read_process("", "meminfo"))
        running = proc.read_process("", "loadavg").split()
        found = NodeSample(
            at_s=now_s,
            node=self._node,
            booted_s=proc.boot_time_s(stat),
            measured=self._whole(memory, proc.boot_time_s(stat), now_s, rates),
            memory_bytes=machine.memory_bytes(),
            swap_bytes=memory.get("SwapTotal", 0),
            processors=machine.processors(),
            interfaces=proc.physical(proc.interfaces(proc.read_process("", "net/dev"))),
            pods=tuple(pod for pod in read if pod is not None),
            system=self._system(now_s, rates),
            pid_max=int(proc.read_process("", "sys/kernel/pid_max") or 0),
            processes=int(running[3].partition("/")[2]) if len(running) > 3 else 0,
        )
        self._before = rates
        alive = {one.id for pod in found.pods for one in pod.containers}
        self._groups = {key: group for key, group in self._groups.items() if key in alive}
        return found

    def _pod(
        self, worker: PodWorker, seen: tuple[Seen, ...], now_s: float, rates: dict[str, tuple[int, float]]
    ) -> PodSample | None:
        context, hierarchy = worker.context, self._hierarchy
        running = [one for one in seen if one.running]
        if not running or hierarchy is None:
            return None
        pod_group = names.find_pod(hierarchy, context.uid)
        containers = [self._container(worker, one, pod_group, now_s, rates) for one in running]
        told = str((context.pod.get("status") or {}).get("startTime") or "")
        started_s = parse_time(told) if told else min(one.started_s for one in running)
        found = tuple(one for one in containers if one is not None)
        measured = None
        if pod_group is not None:
            measured = self._measured(pod_group, started_s, now_s, rates)
        elif (whole := usage.total(one.measured.usage for one in found)) is not None:
            measured = Measured("", whole, sum(one.measured.nano_cores for one in found))
        interfaces = None if context.host_network else self._interfaces(found)
        return PodSample(context.uid, context.namespace, context.name, started_s, found, measured, interfaces)

    def _container(
        self, worker: PodWorker, one: Seen, pod_group: str | None, now_s: float, rates: dict[str, tuple[int, float]]
    ) -> ContainerSample | None:
        hierarchy = self._hierarchy
        assert hierarchy is not None
        group = self._groups.get(one.id) or names.of_container(hierarchy, pod_group, one.id)
        if group is None:
            return None
        measured = self._measured(group, one.started_s, now_s, rates)
        if measured is None:
            self._groups.pop(one.id, None)
            return None
        self._groups[one.id] = group
        definition = spec.container(worker.context.pod, one.name) or {}
        return ContainerSample(one.name, one.id, one.image, one.started_s, measured, definition)

    def _measured(
        self, group: str, started_s: float, now_s: float, rates: dict[str, tuple[int, float]]
    ) -> Measured | None:
        hierarchy = self._hierarchy
        found = usage.read(hierarchy, group) if hierarchy is not None else None
        if hierarchy is None or found is None:
            return None
        rate = self._rate(group, found.cpu_ns, started_s, now_s, rates)
        return Measured(group, found, rate, proc.read_io(hierarchy, group), proc.read_pressure(hierarchy, group))

    def _rate(self, key: str, cpu_ns: int, started_s: float, now_s: float, rates: dict[str, tuple[int, float]]) -> int:
        """Billionths of a core, since the last reading."""
        rates[key] = (cpu_ns, now_s)
        before_ns, before_s = self._before.get(key, (0, started_s))
        if cpu_ns < before_ns or now_s <= before_s:
            before_ns, before_s = 0, started_s
        return int((cpu_ns - before_ns) / max(now_s - before_s, FRESH_S))

    def _whole(
        self, memory: dict[str, int], booted_s: float, now_s: float, rates: dict[str, tuple[int, float]]
    ) -> Measured:
        """The whole machine; the root of version 2 has no ``memory.current``, so what is not free is used."""
        found = self._measured("", booted_s, now_s, rates) or Measured("", Usage())
        if found.usage.memory_bytes:
            return found
        used_bytes = memory.get("MemTotal", 0) - memory.get("MemFree", 0)
        working_bytes = max(used_bytes - memory.get("Inactive(file)", 0), 0)
        return replace(found, usage=replace(found.usage, memory_bytes=used_bytes, working_set_bytes=working_bytes))

    def _system(self, now_s: float, rates: dict[str, tuple[int, float]]) -> dict[str, tuple[float, Measured]]:
        begun_s, cpu_ns, resident_bytes = proc.read_own()
        own = Usage(cpu_ns=cpu_ns, memory_bytes=resident_bytes, working_set_bytes=resident_bytes)
        found = {"kubelet": (begun_s, Measured("", own, self._rate("self", cpu_ns, begun_s, now_s, rates)))}
        pods = self._hierarchy.root if self._hierarchy is not None else ""
        for name, group in (("runtime", RUNTIME_GROUP), ("pods", pods)):
            if group and (measured := self._measured(group, begun_s, now_s, rates)) is not None:
                found[name] = (begun_s, measured)
        return found

    def _interfaces(self, containers: Iterable[ContainerSample]) -> tuple[Interface, ...]:
        """Those of the pod's namespace, which each of its processes sees."""
        assert self._hierarchy is not None
        for one in containers:
            groups = (one.measured.group, f"{one.measured.group}/container")  # crun may put its own one below
            pids = (self._hierarchy.read("memory", group, "cgroup.procs").partition("\n")[0] for group in groups)
            pid = next(filter(None, pids), "")
            if pid and (text := proc.read_process(pid, "net/dev")):
                return proc.interfaces(text)
        return ()
