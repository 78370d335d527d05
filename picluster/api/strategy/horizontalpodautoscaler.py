"""Horizontal pod autoscalers begin without a status."""

from __future__ import annotations

from picluster.api.strategy.shared import never_absent

create, update_status = never_absent({"desiredReplicas": 0})
