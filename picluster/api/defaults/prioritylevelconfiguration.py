"""Defaults of PriorityLevelConfigurations."""

from __future__ import annotations

from picluster.api.types import Object

NOMINAL_SHARES = 30
QUEUES = 64
HAND_SIZE = 8
QUEUE_LENGTH_LIMIT = 50


def apply(prioritylevelconfiguration: Object) -> None:
    spec = prioritylevelconfiguration.setdefault("spec", {})
    exempt, limited = spec.get("exempt"), spec.get("limited")
    if exempt is not None:
        exempt.setdefault("nominalConcurrencyShares", 0)
        exempt.setdefault("lendablePercent", 0)
    if limited is not None:
        limited.setdefault("nominalConcurrencyShares", NOMINAL_SHARES)
        limited.setdefault("lendablePercent", 0)
        queuing = (limited.get("limitResponse") or {}).get("queuing")
        if queuing is not None:
            for field, value in (("queues", QUEUES), ("handSize", HAND_SIZE), ("queueLengthLimit", QUEUE_LENGTH_LIMIT)):
                queuing[field] = queuing.get(field) or value
