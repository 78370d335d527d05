"""Network policies."""

from __future__ import annotations

from typing import Any

from picluster.api.types import Object
from picluster.apiserver.tables.columns import AGE, NAME, Column, Printer, age, label_selector, name_of

COLUMNS = (NAME, Column("Pod-Selector", description="Selects the pods to which this NetworkPolicy applies."), AGE)


def row(policy: Object, now_s: float) -> list[Any]:
    selector = (policy.get("spec") or {}).get("podSelector")
    return [name_of(policy), label_selector(selector), age(policy, now_s)]


PRINTER = Printer(COLUMNS, row)
