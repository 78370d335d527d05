"""Horizontal pod autoscalers, of either version."""

from __future__ import annotations

from typing import Any

from picluster.api.conversion import to_stored
from picluster.api.resources import HORIZONTAL_POD_AUTOSCALERS_V1
from picluster.api.types import Object
from picluster.apiserver.tables.columns import AGE, NAME, Column, Printer, age, name_of

COLUMNS = (
    NAME,
    Column("Reference", description="The target resource to scale."),
    Column("Targets", description="The specifications used to calculate the desired replica count."),
    Column("MinPods", description="The lower limit for the number of replicas."),
    Column("MaxPods", description="The upper limit for the number of replicas."),
    Column("Replicas", description="The current number of replicas."),
    AGE,
)


METRICS_SHOWN_MAX = 2
_FIELDS = {"External": "external", "Pods": "pods", "Object": "object", "Resource": "resource"}
_FIELDS["ContainerResource"] = "containerResource"


def row(autoscaler: Object, now_s: float) -> list[Any]:
    if autoscaler.get("apiVersion") == HORIZONTAL_POD_AUTOSCALERS_V1.api_version:
        autoscaler = to_stored(HORIZONTAL_POD_AUTOSCALERS_V1, autoscaler)
    spec, status = autoscaler["spec"], autoscaler.get("status") or {}
    target = spec.get("scaleTargetRef") or {}
    return [
        name_of(autoscaler),
        f"{target.get('kind', '')}/{target.get('name', '')}",
        _metrics(spec.get("metrics") or [], status.get("currentMetrics") or []),
        str(spec.get("minReplicas", "<unset>")),
        spec.get("maxReplicas", 0),
        status.get("currentReplicas", 0),
        age(autoscaler, now_s),
    ]


def _metrics(metrics: list[Object], current: list[Object]) -> str:
    if not metrics:
        return "<none>"
    states = [*current, *({} for _ in metrics)]
    shown = [_metric(metric, state) for metric, state in zip(metrics, states, strict=False)]
    more = len(shown) - METRICS_SHOWN_MAX
    joined = ", ".join(shown[:METRICS_SHOWN_MAX])
    return f"{joined} + {more} more..." if more > 0 else joined


def _metric(metric: Object, state: Object) -> str:
    """``cpu: 12%/80%``: what is, and what should be."""
    kind = metric.get("type", "")
    field = _FIELDS.get(kind)
    if field is None:
        return "<unknown type>"
    source, current = metric.get(field) or {}, (state.get(field) or {}).get("current") or {}
    target = source.get("target") or {}
    average = target.get("averageValue")
    if field in ("resource", "containerResource"):
        name = source.get("name", "")
        if average is not None:
            return f"{name}: {current.get('averageValue', '<unknown>')}/{average}"
        return f"{name}: {_percent(current, '<unknown>')}/{_percent(target, '<auto>')}"
    if average is None:
        return f"{current.get('value', '<unknown>')}/{target.get('value', '')}"
    shown = f"{current.get('averageValue', '<unknown>')}/{average}"
    return shown if field == "pods" else f"{shown} (avg)"


def _percent(numbers: Object, otherwise: str) -> str:
    percent = numbers.get("averageUtilization")
    return otherwise if percent is None else f"{percent}%"


PRINTER = Printer(COLUMNS, row)
