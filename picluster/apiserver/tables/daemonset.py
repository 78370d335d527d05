"""Daemon sets."""

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
    labels,
    name_of,
    wide,
)

COLUMNS = (
    NAME,
    Column("Desired", "integer", description="The number of nodes that should run the daemon pod."),
    Column("Current", "integer", description="The number of nodes that run a daemon pod and are supposed to."),
    Column("Ready", "integer", description="The number of nodes whose daemon pod is ready."),
    Column("Up-to-date", "integer", description="The number of nodes that run the updated daemon pod."),
    Column("Available", "integer", description="The number of nodes whose daemon pod is available."),
    Column("Node Selector", description="What a node's labels must match for a pod to be scheduled on it."),
    AGE,
    wide("Containers"),
    wide("Images"),
    wide("Selector"),
)


def row(daemonset: Object, now_s: float) -> list[Any]:
    spec, status = daemonset["spec"], daemonset.get("status") or {}
    pod = spec["template"].get("spec") or {}
    names, images = containers(pod)
    return [
        name_of(daemonset),
        status.get("desiredNumberScheduled", 0),
        status.get("currentNumberScheduled", 0),
        status.get("numberReady", 0),
        status.get("updatedNumberScheduled", 0),
        status.get("numberAvailable", 0),
        labels(pod.get("nodeSelector")),
        age(daemonset, now_s),
        names,
        images,
        label_selector(spec.get("selector")),
    ]


PRINTER = Printer(COLUMNS, row)
