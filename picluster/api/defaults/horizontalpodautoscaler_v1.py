"""Defaults of autoscaling/v1 HorizontalPodAutoscalers; the metric is filled when they are converted."""

from __future__ import annotations

from picluster.api.types import Object


def apply(autoscaler: Object) -> None:
    autoscaler.setdefault("spec", {}).setdefault("minReplicas", 1)
