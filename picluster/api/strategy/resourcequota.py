"""Resource quotas: nothing is counted at first."""

from __future__ import annotations

from picluster.api.strategy.shared import no_status

create = no_status
