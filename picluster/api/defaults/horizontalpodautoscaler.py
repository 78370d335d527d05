"""Defaults of HorizontalPodAutoscalers: 80 % CPU when no metric is named, and how fast when anything is said of it."""

from __future__ import annotations

from typing import Any

from picluster.api.quantity import canonical
from picluster.api.types import Object

CPU_UTILIZATION_PERCENT = 80
_UP: Object = {
    "stabilizationWindowSeconds": 0,
    "selectPolicy": "Max",
    "policies": [
        {"type": "Pods", "value": 4, "periodSeconds": 15},
        {"type": "Percent", "value": 100, "periodSeconds": 15},
    ],
}
_DOWN: Object = {
    "selectPolicy": "Max",
    "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
}


def apply(autoscaler: Object) -> None:
    spec = autoscaler.setdefault("spec", {})
    spec.setdefault("minReplicas", 1)
    if not spec.get("metrics"):
        spec["metrics"] = [cpu_metric(CPU_UTILIZATION_PERCENT)]
    behavior = spec.get("behavior")
    if behavior is not None:
        behavior["scaleUp"] = {**_UP, **(behavior.get("scaleUp") or {})}
        behavior["scaleDown"] = {**_DOWN, **(behavior.get("scaleDown") or {})}
    _canonical(spec.get("metrics"))
    _canonical(behavior)
    _canonical((autoscaler.get("status") or {}).get("currentMetrics"))


def cpu_metric(percent: int) -> Object:
    target = {"type": "Utilization", "averageUtilization": percent}
    return {"type": "Resource", "resource": {"name": "cpu", "target": target}}


def _canonical(node: Any) -> None:
    """Rewrite every quantity below ``node``; they are called alike wherever they are."""
    if isinstance(node, list):
        for item in node:
            _canonical(item)
    elif isinstance(node, dict):
        for field, value in node.items():
            if field in ("averageValue", "tolerance") or (field == "value" and not isinstance(value, int | dict)):
                node[field] = canonical(value)
            elif isinstance(value, dict | list):
                _canonical(value)
