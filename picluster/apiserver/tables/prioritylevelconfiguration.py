"""Priority levels."""

from __future__ import annotations

from typing import Any

from picluster.api.types import Object
from picluster.apiserver.tables.columns import AGE, NAME, Column, Printer, age, name_of

COLUMNS = (
    NAME,
    Column("Type", description="Whether requests of this level are limited, or exempt from limits."),
    Column("NominalConcurrencyShares", description="The share of the server's concurrency that the level is due."),
    Column("Queues", description="The number of queues of the level."),
    Column("HandSize", description="How many queues a flow is dealt."),
    Column("QueueLengthLimit", description="How many requests may wait in a queue."),
    AGE,
)
NONE = "<none>"


def row(level: Object, now_s: float) -> list[Any]:
    spec = level.get("spec") or {}
    limits = spec.get("limited") or spec.get("exempt") or {}
    queuing = (limits.get("limitResponse") or {}).get("queuing") or {}
    return [
        name_of(level),
        spec.get("type", ""),
        limits.get("nominalConcurrencyShares", NONE),
        queuing.get("queues", NONE),
        queuing.get("handSize", NONE),
        queuing.get("queueLengthLimit", NONE),
        age(level, now_s),
    ]


PRINTER = Printer(COLUMNS, row)
