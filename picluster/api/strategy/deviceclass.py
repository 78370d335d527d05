"""Device classes: a generation that follows the spec."""

from __future__ import annotations

from picluster.api.strategy.shared import spec_changed

changed = spec_changed
