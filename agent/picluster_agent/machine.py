"""What this machine is: processors, memory, disk, kernel, and how much of it is left."""

from __future__ import annotations

import os
import platform
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from picluster.api.types import Object

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "armv6l": "arm"}
HUGEPAGES = Path("/sys/kernel/mm/hugepages")
LABEL_MAX = 63
SYSTEM_UUIDS = (
    "/sys/class/dmi/id/product_uuid",
    "/proc/device-tree/system-id",
    "/proc/device-tree/vm,uuid",
    "/etc/machine-id",
)
"""Where the machine's own identity may be, in the order that cAdvisor looks (``utils/sysfs``)."""
_CAP_SYS_RESOURCE = 24


@dataclass(frozen=True, slots=True)
class Pressure:
    """Whether the node runs short of something."""

    memory: bool
    disk: bool
    pids: bool


def architecture() -> str:
    machine = platform.machine()
    return ARCHITECTURES.get(machine, machine)


def meminfo(text: str) -> dict[str, int]:
    """``/proc/meminfo`` in bytes."""
    amounts = {}
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if words and words[0].isdigit():
            amounts[name] = int(words[0]) * (1024 if len(words) > 1 else 1)
    return amounts


def memory_bytes() -> int:
    """What this machine, or the control group that it is one of, has."""
    total = meminfo(Path("/proc/meminfo").read_text())["MemTotal"]
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            text = Path(limit).read_text().strip()
        except OSError:
            continue
        if text.isdigit() and 0 < int(text) < total:
            total = int(text)
    return total


def swap_bytes() -> int:
    return meminfo(Path("/proc/meminfo").read_text()).get("SwapTotal", 0)


def hugepages(root: Path = HUGEPAGES) -> dict[str, int]:
    """Bytes that are set aside as huge pages, by resource name; nothing where the kernel has none."""
    found = {}
    for directory in sorted(root.glob("hugepages-*kB")):
        size_bytes = int(directory.name.removeprefix("hugepages-").removesuffix("kB")) * 1024
        unit, amount = ("Gi", size_bytes >> 30) if size_bytes >= 1 << 30 else ("Mi", size_bytes >> 20)
        if amount == 0:
            unit, amount = "Ki", size_bytes >> 10
        pages = _read(str(directory / "nr_hugepages"))
        found[f"hugepages-{amount}{unit}"] = size_bytes * int(pages) if pages.isdigit() else 0
    return found


def board_model(root: Path = Path("/")) -> str:
    """``Raspberry Pi 4 Model B Rev 1.4``; empty where there is no device tree."""
    return _read(str(root / "proc/device-tree/model")).rstrip("\0").strip()


def board_label() -> str:
    """The board's model as the value of a label."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", board_model())[:LABEL_MAX].strip("-._")


def processors() -> int:
    return len(os.sched_getaffinity(0))


def capacity(disk: Path) -> dict[str, str]:
    """Kubernetes resource list of all there is."""
    return {
        "cpu": str(processors()),
        "memory": f"{memory_bytes() // 1024}Ki",
        "ephemeral-storage": f"{shutil.disk_usage(disk).total // 1024}Ki",
        **_quantities(hugepages()),
    }


def _quantities(amounts: Mapping[str, int]) -> dict[str, str]:
    return {name: f"{amount >> 10}Ki" if amount else "0" for name, amount in amounts.items()}


def os_release(text: str) -> Mapping[str, str]:
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {key: value.strip('"') for key, _, value in pairs}


def node_info(version: str, podman_version: str) -> Object:
    """``status.nodeInfo``."""
    uname = os.uname()
    release = os_release(_read("/etc/os-release"))
    return {
        "architecture": architecture(),
        "bootID": _read("/proc/sys/kernel/random/boot_id"),
        "containerRuntimeVersion": f"podman://{podman_version}",
        "kernelVersion": uname.release,
        "kubeProxyVersion": "",
        "kubeletVersion": version,
        "machineID": _read("/etc/machine-id"),
        "operatingSystem": "linux",
        "osImage": release.get("PRETTY_NAME", "Linux"),
        "systemUUID": next(filter(None, map(_read, SYSTEM_UUIDS)), ""),
    }


def may_lower_oom() -> bool:
    """Whether this process holds CAP_SYS_RESOURCE, without which an oom_score_adj can only rise."""
    for line in _read("/proc/self/status").splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> _CAP_SYS_RESOURCE & 1)
    return False


def apparmor_enabled() -> bool:
    return _read("/sys/module/apparmor/parameters/enabled") == "Y"


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip().rstrip("\0")
    except OSError:
        return ""
