"""Replica sets: a generation that follows the spec."""

from __future__ import annotations

from picluster.api.strategy.shared import spec_changed, status_at_first

create = status_at_first({"replicas": 0})
changed = spec_changed
