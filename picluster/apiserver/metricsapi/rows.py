"""The two kinds of the metrics API: their rows, their columns, their OpenAPI definitions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from picluster.api.quantity import add
from picluster.api.resources import Resource
from picluster.api.types import Object
from picluster.apiserver.crd import publish
from picluster.apiserver.registry.kinds import BuiltIn, View
from picluster.apiserver.tables.columns import NAME, Column, Printer, name_of

GROUP, VERSION = "metrics.k8s.io", "v1beta1"
NODE_METRICS = Resource(
    GROUP, VERSION, "NodeMetrics", "nodes", "", namespaced=False, fields=("metadata.name",), verbs=("get", "list"),
    stored=False, singular="node",
)  # fmt: skip
POD_METRICS = Resource(GROUP, VERSION, "PodMetrics", "pods", "", verbs=("get", "list"), stored=False, singular="pod")
ROWS = (NODE_METRICS, POD_METRICS)
COLUMNS = (NAME, Column("cpu"), Column("memory"), Column("Window"))


def _row(metrics: Object, now_s: float) -> list[Any]:
    usages = [each["usage"] for each in metrics.get("containers") or (metrics,)]
    cpu, memory = "0", "0"
    for usage in usages:
        cpu, memory = add(cpu, usage["cpu"]), add(memory, usage["memory"])
    return [name_of(metrics), cpu, memory, metrics["window"]]


PRINTER = Printer(COLUMNS, _row)


@dataclass(frozen=True, slots=True)
class MetricsKind(BuiltIn):
    """Only looked at, so all that counts is how it is shown."""

    def view(self) -> View:
        return View(lambda: PRINTER)


def definitions() -> dict[str, Any]:
    """What makes the OpenAPI definitions, by name."""
    prefix = "io.k8s.metrics.v1beta1."
    return {prefix + name: body for name, body in _bodies(prefix).items()}


def _bodies(prefix: str) -> dict[str, Any]:
    usage = {"type": "object", "additionalProperties": {"type": "string"}}
    common = {"timestamp": {"type": "string", "format": "date-time"}, "window": {"type": "string"}}
    container = {"type": "object", "properties": {"name": {"type": "string"}, "usage": usage}}
    shapes = {
        NODE_METRICS: {**common, "usage": usage},
        POD_METRICS: {**common, "containers": {"type": "array", "items": container}},
    }
    found: dict[str, Any] = {}
    for row, properties in shapes.items():
        schema = {"type": "object", "properties": properties}
        found[row.kind] = lambda row=row, schema=schema: publish.definition(row, schema)
        found[row.list_kind] = lambda row=row: publish.list_definition(row, prefix + row.kind)
    return found
