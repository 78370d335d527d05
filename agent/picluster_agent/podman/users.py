"""As whom a container's first process was started (KEP-3619): ids as the container sees them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")


class LinuxUser(NamedTuple):
    uid: int
    gid: int
    groups: tuple[int, ...]


def of_process(pid: int, proc: Path = PROC) -> LinuxUser | None:
    """The user of a process; ``None`` when it is gone."""
    place = proc / str(pid)
    try:
        status, uids, gids = (place.joinpath(name).read_text() for name in ("status", "uid_map", "gid_map"))
    except OSError:
        return None
    fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    uid, gid = (int(fields[key].split()[0]) for key in ("Uid", "Gid"))
    groups = {_inside(int(group), gids) for group in fields.get("Groups", "").split()}
    return LinuxUser(_inside(uid, uids), _inside(gid, gids), tuple(sorted(groups | {_inside(gid, gids)})))


def _inside(outside: int, mapping: str) -> int:
    """The id in the process's user namespace (user_namespaces(7)) of what the node sees as ``outside``."""
    for line in mapping.splitlines():
        first, parent, count = map(int, line.split())
        if parent <= outside < parent + count:
            return first + outside - parent
    return outside
