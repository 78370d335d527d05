"""HorizontalPodAutoscalers are stored as autoscaling/v2; v1 says one CPU target, and the rest in annotations.

The annotations and the older shape of the metrics in them are those of ``pkg/apis/autoscaling/v1/conversion.go``.
"""

from __future__ import annotations

from typing import Any

import orjson

from picluster.api.defaults.horizontalpodautoscaler import CPU_UTILIZATION_PERCENT, cpu_metric
from picluster.api.resources import HORIZONTAL_POD_AUTOSCALERS, HORIZONTAL_POD_AUTOSCALERS_V1
from picluster.api.types import Object

METRICS = "autoscaling.alpha.kubernetes.io/metrics"
BEHAVIOR = "autoscaling.alpha.kubernetes.io/behavior"
CONDITIONS = "autoscaling.alpha.kubernetes.io/conditions"
CURRENT_METRICS = "autoscaling.alpha.kubernetes.io/current-metrics"
_OURS = (METRICS, BEHAVIOR, CONDITIONS, CURRENT_METRICS)
_SPEC_ALIKE = ("scaleTargetRef", "minReplicas", "maxReplicas")
_STATUS_ALIKE = ("observedGeneration", "lastScaleTime", "currentReplicas", "desiredReplicas")


def from_stored(autoscaler: Object) -> Object:
    """The autoscaling/v1 form of a v2 autoscaler; shares its parts."""
    spec, status = autoscaler.get("spec") or {}, autoscaler.get("status") or {}
    metrics, current = spec.get("metrics") or [], status.get("currentMetrics") or []
    kept: dict[str, Any] = {}
    if others := [_old_metric(metric, "target") for metric in metrics if _cpu_percent(metric, "target") is None]:
        kept[METRICS] = others
    if current:
        kept[CURRENT_METRICS] = [_old_metric(metric, "current") for metric in current]
    if spec.get("behavior") is not None:
        kept[BEHAVIOR] = spec["behavior"]
    if status.get("conditions"):
        kept[CONDITIONS] = status["conditions"]
    shown = _shell(autoscaler, HORIZONTAL_POD_AUTOSCALERS_V1.api_version, kept)
    shown["spec"] = {field: spec[field] for field in _SPEC_ALIKE if field in spec}
    for percent in filter(None, (_cpu_percent(metric, "target") for metric in metrics)):
        shown["spec"]["targetCPUUtilizationPercentage"] = percent
    shown["status"] = {field: status[field] for field in _STATUS_ALIKE if field in status}
    shown["status"].setdefault("currentReplicas", 0)
    shown["status"].setdefault("desiredReplicas", 0)
    for percent in filter(None, (_cpu_percent(metric, "current") for metric in current)):
        shown["status"]["currentCPUUtilizationPercentage"] = percent
    return shown


def to_stored(autoscaler: Object) -> Object:
    """The autoscaling/v2 form of a v1 autoscaler; shares its parts."""
    spec, status = autoscaler.get("spec") or {}, autoscaler.get("status") or {}
    annotations = autoscaler["metadata"].get("annotations") or {}
    stored = _shell(autoscaler, HORIZONTAL_POD_AUTOSCALERS.api_version, {})
    stored["spec"] = {field: spec[field] for field in _SPEC_ALIKE if field in spec}
    metrics = [_new_metric(metric, "target") for metric in _listed(annotations.get(METRICS))]
    if (percent := spec.get("targetCPUUtilizationPercentage")) is not None:
        metrics.append(cpu_metric(percent))
    stored["spec"]["metrics"] = metrics or [cpu_metric(CPU_UTILIZATION_PERCENT)]
    if isinstance(behavior := _parsed(annotations.get(BEHAVIOR)), dict):
        stored["spec"]["behavior"] = behavior
    stored["status"] = {field: status[field] for field in _STATUS_ALIKE if field in status}
    current = [_new_metric(metric, "current") for metric in _listed(annotations.get(CURRENT_METRICS))]
    if not current and (percent := status.get("currentCPUUtilizationPercentage")) is not None:
        current = [{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": percent}}}]
    if current:
        stored["status"]["currentMetrics"] = current
    if conditions := _listed(annotations.get(CONDITIONS)):
        stored["status"]["conditions"] = conditions
    return stored


def _shell(autoscaler: Object, api_version: str, kept: dict[str, Any]) -> Object:
    """The object without its contents; what the version cannot say becomes annotations."""
    metadata = dict(autoscaler["metadata"])
    annotations = {key: value for key, value in (metadata.get("annotations") or {}).items() if key not in _OURS}
    annotations |= {key: orjson.dumps(value).decode() for key, value in kept.items()}
    if annotations:
        metadata["annotations"] = annotations
    else:
        metadata.pop("annotations", None)
    return {"kind": HORIZONTAL_POD_AUTOSCALERS.kind, "apiVersion": api_version, "metadata": metadata}


def _parsed(text: str | None) -> Any:
    """What an annotation says, or ``None``; people can write anything there."""
    try:
        return orjson.loads(text) if text else None
    except orjson.JSONDecodeError:
        return None


def _listed(text: str | None) -> list[Object]:
    found = _parsed(text)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _cpu_percent(metric: Object, side: str) -> int | None:
    """The utilization of a metric that is the CPU of whole pods; ``side`` is ``target`` or ``current``."""
    resource = metric.get("resource") or {}
    if metric.get("type") != "Resource" or resource.get("name") != "cpu":
        return None
    percent: int | None = (resource.get(side) or {}).get("averageUtilization")
    return percent


def _old_metric(metric: Object, side: str) -> Object:
    """A metric (``target``) or its present value (``current``) in the shape of autoscaling/v1."""
    kind = metric.get("type", "")
    field = kind[:1].lower() + kind[1:]
    source = metric.get(field) or {}
    numbers, name = source.get(side) or {}, source.get("metric") or {}
    value, average, percent = numbers.get("value"), numbers.get("averageValue"), numbers.get("averageUtilization")
    selector = name.get("selector")
    match kind:
        case "Resource" | "ContainerResource":
            old = {"name": source.get("name"), f"{side}AverageUtilization": percent, f"{side}AverageValue": average}
            old["container"] = source.get("container")
        case "Pods":
            old = {"metricName": name.get("name"), f"{side}AverageValue": average, "selector": selector}
        case "Object":
            old = {"target": source.get("describedObject"), "metricName": name.get("name")}
            old |= {f"{side}Value": value or "0", "selector": selector, "averageValue": average}
        case _:
            old = {"metricName": name.get("name"), "metricSelector": selector}
            old |= {f"{side}Value": value, f"{side}AverageValue": average}
    return {"type": kind, field: {key: part for key, part in old.items() if part is not None}}


def _new_metric(metric: Object, side: str) -> Object:
    """The other way round."""
    kind = str(metric.get("type", ""))
    field = kind[:1].lower() + kind[1:]
    old = metric.get(field) or {}
    average = old.get("averageValue") if kind == "Object" else old.get(f"{side}AverageValue")
    numbers = {
        "value": old.get(f"{side}Value"), "averageValue": average,
        "averageUtilization": old.get(f"{side}AverageUtilization"),
    }  # fmt: skip
    numbers = {key: number for key, number in numbers.items() if number is not None}
    if side == "target":
        numbers["type"] = _target_type(kind, numbers)
    if kind in ("Resource", "ContainerResource"):
        source = {key: old[key] for key in ("name", "container") if key in old}
        return {"type": kind, field: {**source, side: numbers}}
    name = {"name": old.get("metricName", "")}
    selector = old.get("metricSelector") if kind == "External" else old.get("selector")
    if selector is not None:
        name["selector"] = selector
    source = {"describedObject": old.get("target") or {}} if kind == "Object" else {}
    return {"type": kind, field: {**source, "metric": name, side: numbers}}


def _target_type(kind: str, numbers: Object) -> str:
    if "averageUtilization" in numbers:
        return "Utilization"
    if kind == "Object" and "averageValue" not in numbers:
        return "Value"
    return "Value" if kind == "External" and "value" in numbers else "AverageValue"
