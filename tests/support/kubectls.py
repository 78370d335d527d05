"""The kubectls at hand."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

EVERY = os.environ.get("PICLUSTER_KUBECTLS") == "every"


def kubectls(*, every: bool = EVERY) -> list[Path]:
    """The oldest and the newest ``kubectl.1.N`` beside the kubectl on the path, or ``every`` one of them.

    That on the path where there are none of these; nothing without any. ``PICLUSTER_KUBECTLS=every`` has all tests of
    kubectl run with all versions, which takes minutes more.
    """
    found = shutil.which("kubectl")
    if found is None:
        return []
    beside = Path(found).resolve().parent
    versions = sorted(beside.glob("kubectl.1.*"), key=lambda path: int(path.name.rpartition(".")[2]))
    if not versions:
        return [Path(found)]
    return versions if every else [versions[0], versions[-1]]
