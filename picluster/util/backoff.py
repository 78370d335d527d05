"""Exponential back-off with full bounds and a seedable jitter."""

from __future__ import annotations

import random
from dataclasses import dataclass, field


@dataclass(slots=True)
class Backoff:
    """Delays ``initial_s``, ``initial_s * factor``, … up to ``max_s``; ``jitter`` adds up to that fraction on top."""

    initial_s: float
    max_s: float
    factor: float = 2.0
    jitter: float = 0.0
    rng: random.Random = field(default_factory=random.Random)
    _next_s: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self._next_s = self.initial_s

    def next_s(self) -> float:
        """The delay before the next try, in seconds; each call makes the following one longer."""
        delay_s = self._next_s
        self._next_s = min(self._next_s * self.factor, self.max_s)
        return min(delay_s * (1 + self.jitter * self.rng.random()), self.max_s * (1 + self.jitter))

    def reset(self) -> None:
        """After a success: the next delay is ``initial_s`` again."""
        self._next_s = self.initial_s
