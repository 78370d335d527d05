"""How fast a cluster notices things: the rack's timing, and Kubernetes' own for comparison.

``rack`` is made for boards on one switch, where a board that was silent for a second and a half is worth a look at its
outlet. ``kubernetes`` has the defaults of the kubelet and of the node lifecycle controller (10 s, 40 s, 300 s).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Profile:
    """Seconds. ``fence_after_s``: how long a board must not answer at all before its outlet is switched off."""

    lease_interval_s: float
    lease_duration_s: int
    suspect_after_s: float
    fence_after_s: float
    agent_grace_s: float
    check_interval_s: float


PROFILES = {
    "rack": Profile(
        lease_interval_s=0.5,
        lease_duration_s=2,
        suspect_after_s=1.5,
        fence_after_s=5.0,
        agent_grace_s=60.0,
        check_interval_s=0.1,
    ),
    "kubernetes": Profile(
        lease_interval_s=10.0,
        lease_duration_s=40,
        suspect_after_s=40.0,
        fence_after_s=60.0,
        agent_grace_s=60.0,
        check_interval_s=1.0,
    ),
}
