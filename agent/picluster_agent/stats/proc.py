"""What ``/proc`` and the block controller say, as values. PURE, but for the functions that begin with ``read_``."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from picluster_agent.cgroups.hierarchy import Hierarchy
from picluster_agent.stats.model import BlockIo, Interface, Pressure, Stall

PRESSURES = ("cpu", "memory", "io")
VIRTUAL = ("lo", "veth", "docker", "cni", "ifb", "tunl", "sit", "gre", "ip6", "erspan", "dummy", "nodelocaldns")


def interfaces(text: str) -> tuple[Interface, ...]:
    """``/proc/<pid>/net/dev`` without the loopback interface."""
    found = []
    for line in text.splitlines()[2:]:
        name, _, rest = line.partition(":")
        numbers = [int(word) for word in rest.split()]
        if len(numbers) >= 12 and name.strip() != "lo":
            found.append(Interface(name.strip(), *numbers[0:4], *numbers[8:12]))
    return tuple(found)


def physical(found: Iterable[Interface]) -> tuple[Interface, ...]:
    """The machine's own interfaces, not those of pods and bridges."""
    return tuple(one for one in found if not one.name.startswith(VIRTUAL))


def boot_time_s(stat: str) -> float:
    """``btime`` of ``/proc/stat``."""
    return next((float(line.split()[1]) for line in stat.splitlines() if line.startswith("btime ")), 0.0)


def io_v2(text: str) -> tuple[BlockIo, ...]:
    """``io.stat``: ``8:0 rbytes=1 wbytes=2 rios=3 wios=4 …``."""
    found = []
    for line in text.splitlines():
        device, *pairs = line.split()
        numbers = {key: int(value) for key, _, value in (pair.partition("=") for pair in pairs) if value.isdigit()}
        if numbers:
            found.append(BlockIo(device, *(numbers.get(key, 0) for key in ("rbytes", "wbytes", "rios", "wios"))))
    return tuple(found)


def io_v1(size: str, count: str) -> tuple[BlockIo, ...]:
    """``blkio.throttle.io_service_bytes`` and ``…io_serviced``: ``8:0 Read 1``."""
    read: dict[str, list[int]] = {}
    for offset, text in ((0, size), (2, count)):
        for line in text.splitlines():
            words = line.split()
            if len(words) == 3 and words[1] in ("Read", "Write"):
                numbers = read.setdefault(words[0], [0, 0, 0, 0])
                numbers[offset + (words[1] == "Write")] = int(words[2])
    return tuple(BlockIo(device, *numbers) for device, numbers in read.items())


def pressure(text: str) -> Pressure | None:
    """``some avg10=0.00 avg60=0.00 avg300=0.00 total=0`` and the same with ``full``."""
    found = {}
    for line in text.splitlines():
        kind, *pairs = line.split()
        values = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
        try:
            averages = [float(values[f"avg{seconds}"]) for seconds in (10, 60, 300)]
            found[kind] = Stall(int(values["total"]), *averages)
        except (KeyError, ValueError):
            continue
    return Pressure(found.get("some", Stall()), found.get("full", Stall())) if found else None


def read_pressure(hierarchy: Hierarchy, group: str) -> dict[str, Pressure]:
    """What a group waits for; the machine as a whole is not in the tree but in ``/proc``."""
    if hierarchy.version != 2:
        return {}
    texts = (
        (kind, hierarchy.read("cpu", group, f"{kind}.pressure") if group else read_process("", f"pressure/{kind}"))
        for kind in PRESSURES
    )
    return {kind: found for kind, text in texts if (found := pressure(text)) is not None}


@lru_cache(maxsize=64)
def device(number: str) -> str:
    """``/dev/mmcblk0`` for ``179:0``."""
    try:
        return f"/dev/{Path('/sys/dev/block', number).readlink().name}"
    except OSError:
        return number


def read_io(hierarchy: Hierarchy, group: str) -> tuple[BlockIo, ...]:
    if hierarchy.version == 2:
        found = io_v2(hierarchy.read("cpu", group, "io.stat"))
    else:
        names = ("blkio.throttle.io_service_bytes_recursive", "blkio.throttle.io_serviced_recursive")
        found = io_v1(*(hierarchy.read("blkio", group, name) for name in names))
    return tuple(replace(one, device=device(one.device)) for one in found)


def read_process(pid: str, name: str) -> str:
    """A file of a process; empty when it has ended."""
    try:
        return Path("/proc", pid, name).read_text()
    except OSError:
        return ""


def read_own() -> tuple[float, int, int]:
    """When this process began (epoch), its processor time (ns) and its resident memory (bytes)."""
    fields = read_process("self", "stat").rpartition(")")[2].split()
    ticks = os.sysconf("SC_CLK_TCK")
    begun_s = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + int(fields[19]) / ticks
    return begun_s, time.process_time_ns(), int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
