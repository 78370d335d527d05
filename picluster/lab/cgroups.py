"""A control group per board, on hosts of either version, so that what runs on a board is accounted, limited and found.

Version 2: one tree. Under systemd the strip's process runs in a unit with ``Delegate=yes`` and may do as it likes
below it; elsewhere the groups are at the top. Version 1 (with or without the empty version 2 tree beside it): the same
group in every mounted hierarchy.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

GROUP = "picluster-lab"
MOUNTS = Path("/proc/self/mounts")
SUPERVISOR = "supervisor"
EMPTY_TIMEOUT_S = 5.0
POLL_S = 0.01


@dataclass(frozen=True, slots=True)
class Groups:
    """``bases`` is the directory of the lab in each hierarchy."""

    bases: tuple[Path, ...]
    v2: bool

    def create(self, name: str) -> list[Path]:
        """Make the group ``name`` and return its ``cgroup.procs`` files, one per hierarchy."""
        for base in self.bases:
            base.mkdir(exist_ok=True)
            if (base / "cpuset.mems").exists() and not self.v2:
                _inherit_cpuset(base)
            (base / name).mkdir(exist_ok=True)
        return [base / name / "cgroup.procs" for base in self.bases]

    def delegate(self) -> None:
        """Before boards: on version 2, move this process out of the way and hand every controller down."""
        if not self.v2:
            return
        (base,) = self.bases
        (own,) = self.create(SUPERVISOR)
        own.write_text(str(os.getpid()))
        for controller in (base / "cgroup.controllers").read_text().split():
            with contextlib.suppress(OSError):  # one that the host keeps for itself stays with the host
                (base / "cgroup.subtree_control").write_text(f"+{controller}")

    def remove(self, name: str) -> None:
        """Kill what is in the group and below it, and remove it; does nothing when there is none."""
        for base in self.bases:
            _remove(base / name)

    def remove_all(self) -> None:
        """Remove the lab's groups, unless they are a unit's, which systemd removes."""
        for base in self.bases:
            if base.name == GROUP:
                _remove(base)


def find(unit: str | None = None) -> Groups:
    """The groups on this machine; ``unit`` is the delegated one this process runs in, relative to the top."""
    mounted = list(_mounted())
    tops = [place for place, kind in mounted if kind == "cgroup2"]
    if any(kind == "cgroup" for _, kind in mounted):
        return Groups(tuple(place / GROUP for place, _ in mounted), v2=False)
    if not tops:
        return Groups((), v2=False)
    return Groups((tops[0] / (unit.lstrip("/") if unit else GROUP),), v2=True)


def systemd_runs() -> bool:
    """Whether systemd is this machine's init, as ``sd_booted(3)`` tells."""
    return Path("/run/systemd/system").is_dir()


def own_unit() -> str | None:
    """The version 2 group of this process, when systemd runs this machine."""
    if not systemd_runs():
        return None
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        if line.startswith("0::"):
            return line[3:]
    return None


def _mounted() -> Iterator[tuple[Path, str]]:
    seen = set()
    for line in MOUNTS.read_text().splitlines():
        _, place, kind, *_ = line.split()
        if kind in ("cgroup", "cgroup2") and place.startswith("/sys/fs/cgroup") and place not in seen:
            seen.add(place)
            yield Path(place), kind


def _inherit_cpuset(base: Path) -> None:
    for name in ("cpuset.cpus", "cpuset.mems"):
        if not (base / name).read_text().strip():
            (base / name).write_text((base.parent / name).read_text())
    (base / "cgroup.clone_children").write_text("1")


def _remove(group: Path) -> None:
    deadline_s = time.monotonic() + EMPTY_TIMEOUT_S
    while group.is_dir():
        for folder, _, _ in os.walk(group, topdown=False):
            _kill(Path(folder))
            with contextlib.suppress(OSError):  # not empty yet
                Path(folder).rmdir()
        if time.monotonic() > deadline_s:
            return
        time.sleep(POLL_S)


def _kill(group: Path) -> None:
    with contextlib.suppress(OSError):
        for pid in (group / "cgroup.procs").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
