"""Cron jobs: a generation that follows the spec."""

from __future__ import annotations

from picluster.api.strategy.shared import no_status, spec_changed

create = no_status
changed = spec_changed
