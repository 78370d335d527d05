"""Replication controllers."""

from __future__ import annotations

from typing import Any

from picluster.api.types import Object
from picluster.apiserver.tables.columns import AGE, NAME, Column, Printer, age, containers, labels, name_of, wide

COLUMNS = (
    NAME,
    Column("Desired", "integer", description="Replicas is the number of desired pods."),
    Column("Current", "integer", description="Replicas is the most recently observed number of pods."),
    Column("Ready", "integer", description="The number of ready pods of this replication controller."),
    AGE,
    wide("Containers"),
    wide("Images"),
    wide("Selector"),
)


def row(controller: Object, now_s: float) -> list[Any]:
    spec, status = controller["spec"], controller.get("status") or {}
    names, images = containers((spec.get("template") or {}).get("spec") or {})
    return [
        name_of(controller),
        spec.get("replicas", 0),
        status.get("replicas", 0),
        status.get("readyReplicas", 0),
        age(controller, now_s),
        names,
        images,
        labels(spec.get("selector")),
    ]


PRINTER = Printer(COLUMNS, row)
