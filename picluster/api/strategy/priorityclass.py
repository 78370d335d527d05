"""Priority classes have a generation that never rises."""

from __future__ import annotations

from picluster.api.strategy.shared import never

changed = never
