"""The control group file systems of this machine, and one face for both versions.

A group is named by its path below the top (``kubepods/burstable/pod1``). On version 2 there is one tree; on version 1
each controller has a tree of its own, in which the group has the same name. What is mounted at ``/sys/fs/cgroup`` is
the top, also where that is only the corner of a larger tree that a board or a container was given.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

TOP = Path("/sys/fs/cgroup")
MOUNTS = Path("/proc/self/mounts")
ROOT = "kubepods"
CONTROLLERS = ("cpu", "cpuacct", "memory", "pids", "cpuset", "blkio", "devices", "freezer", "hugetlb")


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """``trees`` maps each controller to the directory of its top; on version 2 all to the same one.

    ``root`` is the group below which all pods are.
    """

    version: int
    trees: Mapping[str, Path]
    root: str = ROOT

    def directory(self, controller: str, group: str) -> Path | None:
        """Where ``group`` is in the tree of ``controller``; ``None`` where the controller is not mounted."""
        top = self.trees.get(controller)
        return None if top is None else top / group

    def directories(self, group: str) -> list[Path]:
        """The group in every tree, each once."""
        return [top / group for top in dict.fromkeys(self.trees.values())]

    def read(self, controller: str, group: str, name: str) -> str:
        """A file of the group, without its last newline; empty where there is none."""
        directory = self.directory(controller, group)
        if directory is None:
            return ""
        try:
            with open(directory / name, encoding="ascii") as file:  # noqa: PTH123 (half the time of read_text)
                return file.read().rstrip("\n")
        except OSError:
            return ""

    def exists(self, group: str) -> bool:
        return any(directory.is_dir() for directory in self.directories(group))


def find(mounts: str | None = None, root: str = ROOT) -> Hierarchy | None:
    """What is mounted here; ``None`` where there is nothing that pods could be put into.

    A machine that mounts controllers separately is one of version 1, also when an empty version 2 tree is beside them.
    """
    legacy: dict[str, Path] = {}
    unified: Path | None = None
    for place, kind, options in _mounted(MOUNTS.read_text() if mounts is None else mounts):
        if kind == "cgroup2":
            unified = unified or place
            continue
        for controller in options:
            if controller in CONTROLLERS or controller.startswith("name="):
                legacy.setdefault(controller, place)
    if legacy.keys() & {"cpu", "memory"}:
        if unified is not None:  # it limits nothing, but the runtime makes groups there too
            legacy["unified"] = unified
        return Hierarchy(1, legacy, root)
    return unified_at(unified, root) if unified is not None else None


def unified_at(top: Path, root: str = ROOT) -> Hierarchy | None:
    """The version 2 tree at ``top``, with the controllers that it has."""
    try:
        controllers = (top / "cgroup.controllers").read_text().split()
    except OSError:
        return None
    if not {"cpu", "memory"} <= set(controllers):
        return None
    return Hierarchy(2, dict.fromkeys([*controllers, "cpuacct"], top), root)


def _mounted(text: str) -> Iterator[tuple[Path, str, list[str]]]:
    for line in text.splitlines():
        fields = line.split()
        if len(fields) > 3 and fields[2] in ("cgroup", "cgroup2") and Path(fields[1]).is_relative_to(TOP):
            yield Path(fields[1]), fields[2], fields[3].split(",")
