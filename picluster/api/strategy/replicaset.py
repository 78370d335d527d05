"""Replica sets: a generation that follows the spec."""

from __future__ import annotations

from picluster.api.strategy.shared import never_absent, spec_changed

create, update_status = never_absent({"replicas": 0})
changed = spec_changed
