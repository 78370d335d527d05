"""The kubectls at hand."""

from __future__ import annotations

import shutil
from pathlib import Path


def kubectls() -> list[Path]:
    """The oldest and the newest ``kubectl.1.N`` beside the kubectl on the path, else that one alone; or none."""
    found = shutil.which("kubectl")
    if found is None:
        return []
    beside = Path(found).resolve().parent
    versions = sorted(beside.glob("kubectl.1.*"), key=lambda path: int(path.name.rpartition(".")[2]))
    return [versions[0], versions[-1]] if versions else [Path(found)]
