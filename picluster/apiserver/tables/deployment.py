"""Deployments."""

from __future__ import annotations

from typing import Any

from picluster.api.types import Object
from picluster.apiserver.tables.columns import (
    AGE,
    NAME,
    Column,
    Printer,
    age,
    containers,
    label_selector,
    name_of,
    wide,
)

COLUMNS = (
    NAME,
    Column("Ready", description="Number of the pod with ready state"),
    Column("Up-to-date", description="Total number of non-terminated pods targeted by this deployment that have the"
           " desired template spec."),
    Column("Available", description="Total number of available non-terminating pods (ready for at least"
           " minReadySeconds) targeted by this deployment."),
    AGE,
    wide("Containers"),
    wide("Images"),
    wide("Selector"),
)  # fmt: skip


def row(deployment: Object, now_s: float) -> list[Any]:
    spec, status = deployment["spec"], deployment.get("status") or {}
    names, images = containers(spec["template"]["spec"])
    return [
        name_of(deployment),
        f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}",
        status.get("updatedReplicas", 0),
        status.get("availableReplicas", 0),
        age(deployment, now_s),
        names,
        images,
        label_selector(spec.get("selector")),
    ]


PRINTER = Printer(COLUMNS, row)
