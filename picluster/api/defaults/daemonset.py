"""Defaults of DaemonSets."""

from __future__ import annotations

from picluster.api.defaults import podspec
from picluster.api.types import Object

REVISION_HISTORY_LIMIT = 10


def apply(daemonset: Object) -> None:
    spec = daemonset.setdefault("spec", {})
    strategy = spec.setdefault("updateStrategy", {})
    if not strategy.get("type"):
        strategy["type"] = "RollingUpdate"
    if strategy["type"] == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", 1)
        rolling.setdefault("maxSurge", 0)
    spec.setdefault("revisionHistoryLimit", REVISION_HISTORY_LIMIT)
    podspec.apply_template(spec)
