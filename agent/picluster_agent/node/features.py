"""What this node and its container runtimes can do. PURE.

A handler is named by its OCI runtime; the one without a name is the default. Sources: KEP-3857 (recursive read-only
mounts), KEP-127 (user namespaces).
"""

from __future__ import annotations

from collections.abc import Iterable

from picluster.api.types import Object

DECLARED = ("GuaranteedQoSPodCPUResize", "RestartAllContainersOnContainerExits")
"""What pods of 1.36 may need of their node (KEP-5328): both are served here, since no container owns a processor."""


def runtime_handlers(names: Iterable[str], *, recursive_read_only: bool, user_namespaces: bool) -> list[Object]:
    """One entry for the default and one for each installed runtime."""
    features = {"recursiveReadOnlyMounts": recursive_read_only, "userNamespaces": user_namespaces}
    return [{"name": name, "features": dict(features)} for name in ("", *names)]
