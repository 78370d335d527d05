"""Replica sets."""

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
    Column("Desired", "integer", description="Replicas is the number of desired pods."),
    Column("Current", "integer", description="Replicas is the most recently observed number of non-terminating pods."),
    Column("Ready", "integer", description="The number of non-terminating pods targeted by this ReplicaSet with a Ready"
           " Condition."),
    AGE,
    wide("Containers"),
    wide("Images"),
    wide("Selector"),
)  # fmt: skip


def row(replica_set: Object, now_s: float) -> list[Any]:
    spec, status = replica_set["spec"], replica_set.get("status") or {}
    names, images = containers(spec["template"]["spec"])
    return [
        name_of(replica_set),
        spec.get("replicas", 0),
        status.get("replicas", 0),
        status.get("readyReplicas", 0),
        age(replica_set, now_s),
        names,
        images,
        label_selector(spec.get("selector")),
    ]


PRINTER = Printer(COLUMNS, row)
