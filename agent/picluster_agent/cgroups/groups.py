"""Groups made, limited, emptied and removed. Blocks for microseconds; safe to repeat, safe without set-up.

A limit that the kernel refuses is an ``OSError`` with the file's name. On version 1 the agent makes a group only in the
trees that it limits or reads; the runtime makes it in the others, and ``remove`` takes it out of all.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
from collections.abc import Iterator
from pathlib import Path

from picluster_agent.cgroups.hierarchy import Hierarchy
from picluster_agent.cgroups.values import CPU_PERIOD_US, UNLIMITED, GroupLimits, weight

OWN_V1 = ("cpu", "cpuacct", "memory", "pids", "hugetlb")
DELEGATED_V2 = ("cpuset", "cpu", "io", "memory", "hugetlb", "pids")
MEMORY_UNLIMITED_BYTES = 1 << 62
"""Version 1 shows "no limit" as about twice as much."""


def create(hierarchy: Hierarchy, group: str) -> None:
    """Make ``group`` and what is above it; on version 2 its children may use every controller."""
    if hierarchy.version == 2:
        _create_v2(hierarchy, group)
        return
    for top in dict.fromkeys(hierarchy.trees[one] for one in OWN_V1 if one in hierarchy.trees):
        (top / group).mkdir(parents=True, exist_ok=True)


def _create_v2(hierarchy: Hierarchy, group: str) -> None:
    directory = hierarchy.trees["memory"]
    wanted = " ".join(f"+{one}" for one in DELEGATED_V2 if one in hierarchy.trees)
    for part in ("", *group.split("/")):
        directory = directory / part
        directory.mkdir(exist_ok=True)
        _write(directory / "cgroup.subtree_control", wanted)


def apply(hierarchy: Hierarchy, group: str, limits: GroupLimits) -> None:
    """Give ``group`` what ``limits`` says; a controller that this kernel lacks limits nothing."""
    if hierarchy.version == 2:
        _apply_v2(hierarchy, group, limits)
    else:
        _apply_v1(hierarchy, group, limits)


def _apply_v1(hierarchy: Hierarchy, group: str, limits: GroupLimits) -> None:
    if cpu := hierarchy.directory("cpu", group):
        if limits.cpu_shares is not None:
            _write(cpu / "cpu.shares", str(limits.cpu_shares))
        if limits.cpu_quota_us is not None and (cpu / "cpu.cfs_quota_us").exists():
            _write(cpu / "cpu.cfs_period_us", str(CPU_PERIOD_US))
            _write(cpu / "cpu.cfs_quota_us", str(limits.cpu_quota_us))
    if (memory := hierarchy.directory("memory", group)) and limits.memory_bytes is not None:
        _limit_memory_v1(memory, limits.memory_bytes)
    _limit_rest(hierarchy, group, limits, "limit_in_bytes")


def _limit_memory_v1(memory: Path, limit_bytes: int) -> None:
    """Memory with swap may never be less than memory, so the order depends on the direction."""
    names = ["memory.limit_in_bytes"]
    if (memory / "memory.memsw.limit_in_bytes").exists():
        names.append("memory.memsw.limit_in_bytes")
        before = int((memory / "memory.memsw.limit_in_bytes").read_text())
        if limit_bytes == UNLIMITED or limit_bytes > before:
            names.reverse()
    for name in names:
        _write(memory / name, str(limit_bytes))


def _apply_v2(hierarchy: Hierarchy, group: str, limits: GroupLimits) -> None:
    directory = hierarchy.trees["memory"] / group
    if limits.cpu_shares is not None:
        _write(directory / "cpu.weight", str(weight(limits.cpu_shares)))
    if limits.cpu_quota_us is not None and (directory / "cpu.max").exists():
        _write(directory / "cpu.max", f"{_or_max(limits.cpu_quota_us)} {CPU_PERIOD_US}")
    if limits.memory_bytes is not None:
        _write(directory / "memory.max", _or_max(limits.memory_bytes))
        if (directory / "memory.swap.max").exists():
            _write(directory / "memory.swap.max", "0")
    _limit_rest(hierarchy, group, limits, "max")


def _limit_rest(hierarchy: Hierarchy, group: str, limits: GroupLimits, suffix: str) -> None:
    if (pids := hierarchy.directory("pids", group)) and limits.pids_max is not None:
        _write(pids / "pids.max", _or_max(limits.pids_max))
    if huge := hierarchy.directory("hugetlb", group):
        for size, limit_bytes in limits.huge_pages.items():
            with contextlib.suppress(FileNotFoundError):
                _write(huge / f"hugetlb.{size}.{suffix}", str(limit_bytes))


def _or_max(amount: int) -> str:
    return "max" if amount == UNLIMITED else str(amount)


def current(hierarchy: Hierarchy, group: str) -> GroupLimits:
    """What the kernel has now for quota, memory and processes; ``UNLIMITED`` where it has no limit."""
    if hierarchy.version == 2:
        quota = hierarchy.read("cpu", group, "cpu.max").partition(" ")[0]
        memory = hierarchy.read("memory", group, "memory.max")
    else:
        quota = hierarchy.read("cpu", group, "cpu.cfs_quota_us")
        memory = hierarchy.read("memory", group, "memory.limit_in_bytes")
    memory_bytes = int(memory) if memory.isdigit() else UNLIMITED
    pids = hierarchy.read("pids", group, "pids.max")
    return GroupLimits(
        cpu_quota_us=int(quota) if quota.isdigit() else UNLIMITED,
        memory_bytes=memory_bytes if memory_bytes < MEMORY_UNLIMITED_BYTES else UNLIMITED,
        pids_max=int(pids) if pids.isdigit() else UNLIMITED,
    )


def remove(hierarchy: Hierarchy, group: str, *, kill: bool = False) -> bool:
    """Take ``group`` and all below it away; whether nothing is left. Where processes are, ``kill`` sends SIGKILL."""
    gone = True
    for directory in hierarchy.directories(group):
        for folder in _deepest_first(directory):
            try:
                folder.rmdir()
            except FileNotFoundError:
                continue
            except OSError as error:
                if error.errno not in (errno.EBUSY, errno.ENOTEMPTY):
                    raise
                if kill:
                    _kill(folder)
                gone = False
    return gone


def kill(hierarchy: Hierarchy, group: str) -> None:
    """SIGKILL to every process in ``group`` and below."""
    for directory in hierarchy.directories(group):
        for folder in _deepest_first(directory):
            _kill(folder)


def children(hierarchy: Hierarchy, parent: str, prefix: str) -> Iterator[str]:
    """Names of the groups right below ``parent`` that begin with ``prefix``, in whatever tree."""
    found: set[str] = set()
    for directory in hierarchy.directories(parent):
        with contextlib.suppress(OSError), os.scandir(directory) as entries:
            found |= {entry.name for entry in entries if entry.name.startswith(prefix) and entry.is_dir()}
    yield from sorted(found)


def _deepest_first(directory: Path) -> Iterator[Path]:
    for folder, _, _ in os.walk(directory, topdown=False):
        yield Path(folder)


def _kill(folder: Path) -> None:
    with contextlib.suppress(OSError):
        for pid in (folder / "cgroup.procs").read_text().split():
            if pid != "0":
                os.kill(int(pid), signal.SIGKILL)


def _write(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC)
    try:
        os.write(descriptor, text.encode())
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror} when {text!r} is written", str(path)) from error
    finally:
        os.close(descriptor)
