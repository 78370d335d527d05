"""Defaults of PriorityClasses."""

from __future__ import annotations

from picluster.api.types import Object


def apply(priorityclass: Object) -> None:
    priorityclass.setdefault("value", 0)
    priorityclass.setdefault("preemptionPolicy", "PreemptLowerPriority")
