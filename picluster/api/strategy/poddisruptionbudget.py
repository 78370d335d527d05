"""Pod disruption budgets: nothing may be disrupted until their controller has looked."""

from __future__ import annotations

from picluster.api.strategy.shared import never_absent, spec_changed

create, update_status = never_absent(
    {"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0}
)
changed = spec_changed
