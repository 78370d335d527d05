"""The files that one attempt at a container leaves: its log, and what it wrote as its last words."""

from __future__ import annotations

import contextlib

from picluster_agent.sync.context import PodPaths
from picluster_agent.sync.model import Seen


def remove(paths: PodPaths, one: Seen) -> None:
    """The container is removed: nobody asks for them any more."""
    log = paths.log(one.name, one.attempt)
    with contextlib.suppress(OSError):
        for path in (paths.message(one.name, one.attempt), *log.parent.glob(f"{one.attempt}.log*")):
            path.unlink(missing_ok=True)
