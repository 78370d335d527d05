"""When a service account token is renewed. Pure; the rules are the kubelet's (``pkg/kubelet/token``)."""

from __future__ import annotations

from dataclasses import dataclass, field

FRESH_PART = 0.8
"""A token is renewed when this part of its life is over."""
LIFE_MAX_S = 24 * 3600.0
"""Or when it is this old, however long it may live."""


@dataclass(frozen=True, slots=True)
class HeldToken:
    token: str = field(repr=False)
    given_s: float
    expires_s: float

    def is_due(self, now_s: float, jitter_s: float) -> bool:
        """Whether to ask for a new one; ``jitter_s`` spreads what was given at one time."""
        life_s = self.expires_s - self.given_s
        return now_s > self.given_s + min(life_s * FRESH_PART, LIFE_MAX_S) - jitter_s

    def is_over(self, now_s: float) -> bool:
        return now_s >= self.expires_s
