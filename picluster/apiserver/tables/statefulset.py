"""Stateful sets."""

from __future__ import annotations

from typing import Any

from picluster.api.types import Object
from picluster.apiserver.tables.columns import AGE, NAME, Column, Printer, age, containers, name_of, wide

COLUMNS = (
    NAME,
    Column("Ready", description="Number of the pod with ready state"),
    AGE,
    wide("Containers"),
    wide("Images"),
)


def row(statefulset: Object, now_s: float) -> list[Any]:
    spec, status = statefulset["spec"], statefulset.get("status") or {}
    names, images = containers(spec["template"].get("spec") or {})
    ready = f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}"
    return [name_of(statefulset), ready, age(statefulset, now_s), names, images]


PRINTER = Printer(COLUMNS, row)
