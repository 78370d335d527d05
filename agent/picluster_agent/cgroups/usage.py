"""What a control group uses, read from its files: some 0.3 ms a group, nothing is kept.

The figures are those that cAdvisor gives the kubelet: the working set is all memory but inactive file pages; on version
1 the ``total_`` lines count, those of the group and of all below it. A pod's usage is its group's; where a pod has no
group of its own (an agent of before started it), it is the sum of its containers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

from picluster_agent.cgroups import names
from picluster_agent.cgroups.hierarchy import Hierarchy

UNLIMITED = 1 << 62
"""What version 1 shows for "no limit" is about this or more."""


@dataclass(frozen=True, slots=True)
class Usage:
    """``cpu_ns`` and the counters rise as long as the group is there; the rest is now. 0 where the kernel tells not."""

    cpu_ns: int = 0
    cpu_user_ns: int = 0
    cpu_system_ns: int = 0
    periods: int = 0
    throttled_periods: int = 0
    throttled_ns: int = 0
    memory_bytes: int = 0
    """All memory, the page cache too."""
    working_set_bytes: int = 0
    rss_bytes: int = 0
    """Anonymous memory and swap cache."""
    cache_bytes: int = 0
    mapped_file_bytes: int = 0
    swap_bytes: int = 0
    page_faults: int = 0
    major_page_faults: int = 0
    failures: int = 0
    """How often the memory limit was hit."""
    oom_kills: int = 0
    processes: int = 0


def read(hierarchy: Hierarchy, group: str) -> Usage | None:
    """The usage of ``group`` and all below it; ``None`` when there is no such group."""
    return _read_v2(hierarchy, group) if hierarchy.version == 2 else _read_v1(hierarchy, group)


def of_container(hierarchy: Hierarchy, uid: str, container_id: str) -> Usage | None:
    """The usage of a running container of the pod ``uid``."""
    group = names.of_container(hierarchy, names.find_pod(hierarchy, uid), container_id)
    return read(hierarchy, group) if group is not None else None


def of_pod(hierarchy: Hierarchy, uid: str, container_ids: Iterable[str] = ()) -> Usage | None:
    """The usage of a pod; ``container_ids`` are summed up where it has no group of its own."""
    group = names.find_pod(hierarchy, uid)
    if group is not None and (usage := read(hierarchy, group)) is not None:
        return usage
    return total(one for key in container_ids if (one := of_container(hierarchy, uid, key)) is not None)


def total(usages: Iterable[Usage]) -> Usage | None:
    """The sum; ``None`` of nothing."""
    listed = list(usages)
    if not listed:
        return None
    return Usage(**{one.name: sum(getattr(usage, one.name) for usage in listed) for one in fields(Usage)})


def limit_bytes(hierarchy: Hierarchy, group: str) -> int:
    """The memory limit of the group itself, 0 for none."""
    name = "memory.max" if hierarchy.version == 2 else "memory.limit_in_bytes"
    text = hierarchy.read("memory", group, name)
    limit = int(text) if text.isdigit() else 0
    return limit if limit < UNLIMITED else 0


def _read_v1(hierarchy: Hierarchy, group: str) -> Usage | None:
    memory = keyed(hierarchy.read("memory", group, "memory.stat"))
    cpu_text = hierarchy.read("cpuacct", group, "cpuacct.usage")
    if not memory and not cpu_text:
        return None
    cpu = keyed(hierarchy.read("cpuacct", group, "cpuacct.stat"))
    throttling = keyed(hierarchy.read("cpu", group, "cpu.stat"))
    used_bytes = number(hierarchy.read("memory", group, "memory.usage_in_bytes"))
    tick_ns = 10_000_000
    return Usage(
        cpu_ns=number(cpu_text),
        cpu_user_ns=cpu.get("user", 0) * tick_ns,
        cpu_system_ns=cpu.get("system", 0) * tick_ns,
        periods=throttling.get("nr_periods", 0),
        throttled_periods=throttling.get("nr_throttled", 0),
        throttled_ns=throttling.get("throttled_time", 0),
        memory_bytes=used_bytes,
        working_set_bytes=max(used_bytes - memory.get("total_inactive_file", 0), 0),
        rss_bytes=memory.get("total_rss", 0),
        cache_bytes=memory.get("total_cache", 0),
        mapped_file_bytes=memory.get("total_mapped_file", 0),
        swap_bytes=memory.get("total_swap", 0),
        page_faults=memory.get("total_pgfault", 0),
        major_page_faults=memory.get("total_pgmajfault", 0),
        failures=number(hierarchy.read("memory", group, "memory.failcnt")),
        oom_kills=keyed(hierarchy.read("memory", group, "memory.oom_control")).get("oom_kill", 0),
        processes=number(hierarchy.read("pids", group, "pids.current")),
    )


def _read_v2(hierarchy: Hierarchy, group: str) -> Usage | None:
    memory = keyed(hierarchy.read("memory", group, "memory.stat"))
    cpu = keyed(hierarchy.read("cpu", group, "cpu.stat"))
    if not memory and not cpu:
        return None
    events = keyed(hierarchy.read("memory", group, "memory.events"))
    used_bytes = number(hierarchy.read("memory", group, "memory.current"))
    return Usage(
        cpu_ns=cpu.get("usage_usec", 0) * 1000,
        cpu_user_ns=cpu.get("user_usec", 0) * 1000,
        cpu_system_ns=cpu.get("system_usec", 0) * 1000,
        periods=cpu.get("nr_periods", 0),
        throttled_periods=cpu.get("nr_throttled", 0),
        throttled_ns=cpu.get("throttled_usec", 0) * 1000,
        memory_bytes=used_bytes,
        working_set_bytes=max(used_bytes - memory.get("inactive_file", 0), 0),
        rss_bytes=memory.get("anon", 0),
        cache_bytes=memory.get("file", 0),
        mapped_file_bytes=memory.get("file_mapped", 0),
        swap_bytes=number(hierarchy.read("memory", group, "memory.swap.current")),
        page_faults=memory.get("pgfault", 0),
        major_page_faults=memory.get("pgmajfault", 0),
        failures=events.get("max", 0),
        oom_kills=events.get("oom_kill", 0),
        processes=number(hierarchy.read("pids", group, "pids.current")),
    )


def keyed(text: str) -> dict[str, int]:
    """A flat keyed file (``cgroups(7)``): one name and one number a line."""
    found = {}
    for line in text.splitlines():
        name, _, amount = line.partition(" ")
        if amount.isdigit():
            found[name] = int(amount)
    return found


def number(text: str) -> int:
    return int(text) if text.isdigit() else 0
