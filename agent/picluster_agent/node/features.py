"""What the container runtimes of this node can do (``runtimeHandlers``, ``features``). PURE, but for ``installed``.

A handler is named by its OCI runtime; the one without a name is the default. Sources: KEP-3857 (recursive read-only
mounts: kernel 5.12), KEP-127 (user namespaces), KEP-3619 (supplementalGroupsPolicy).
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable

from picluster.api.types import Object

RUNTIMES = ("crun", "runc")
RECURSIVE_READ_ONLY_KERNEL = (5, 12)


def installed() -> list[str]:
    return [name for name in RUNTIMES if shutil.which(name)]


def runtime_handlers(names: Iterable[str], kernel: str, *, user_namespaces: bool) -> list[Object]:
    """One entry for the default and one for each installed runtime."""
    features = {
        "recursiveReadOnlyMounts": _version(kernel) >= RECURSIVE_READ_ONLY_KERNEL,
        "userNamespaces": user_namespaces,
    }
    return [{"name": name, "features": dict(features)} for name in ("", *names)]


def _version(kernel: str) -> tuple[int, ...]:
    found = re.match(r"(\d+)\.(\d+)", kernel)
    return (int(found[1]), int(found[2])) if found else (0, 0)
