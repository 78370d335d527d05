"""Horizontal pod autoscalers begin without a status."""

from __future__ import annotations

from picluster.api.strategy.shared import status_at_first

create = status_at_first({"currentReplicas": 0, "desiredReplicas": 0})
