"""Defaults of Deployments."""

from __future__ import annotations

from picluster.api.defaults import podspec
from picluster.api.types import Object

REVISION_HISTORY_LIMIT = 10
PROGRESS_DEADLINE_S = 600
ROLLING_SHARE = "25%"


def apply(deployment: Object) -> None:
    spec = deployment.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    spec.setdefault("revisionHistoryLimit", REVISION_HISTORY_LIMIT)
    spec.setdefault("progressDeadlineSeconds", PROGRESS_DEADLINE_S)
    strategy = spec.setdefault("strategy", {})
    if not strategy.get("type"):
        strategy["type"] = "RollingUpdate"
    if strategy["type"] == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", ROLLING_SHARE)
        rolling.setdefault("maxSurge", ROLLING_SHARE)
    podspec.apply_template(spec)
