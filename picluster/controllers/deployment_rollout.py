"""How far each ReplicaSet of a Deployment moves now. Pure: sizes in, sizes out, one step of a roll-out at a time.

The arithmetic is that of ``pkg/controller/deployment`` (``rolling.go``, ``recreate.go``, ``sync.go``): a rolling update
never has more than ``replicas + maxSurge`` pods and, as far as it depends on it, never fewer than
``replicas - maxUnavailable`` available ones. Each step is planned on what is there; the next one comes when that moved.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from picluster.api.types import Object

INT32_MAX = 2**31 - 1
ROLLING_UPDATE = "RollingUpdate"


@dataclass(frozen=True, slots=True)
class Strategy:
    """``replicas`` of the Deployment, and how far from it a roll-out may stray, as numbers of pods."""

    replicas: int
    max_surge: int
    max_unavailable: int
    rolling: bool = True

    @property
    def min_available(self) -> int:
        return self.replicas - self.max_unavailable


@dataclass(frozen=True, slots=True)
class Generation:
    """One ReplicaSet: ``replicas`` is asked for, ``available`` there; ``max_replicas`` what its annotation says."""

    name: str
    replicas: int
    available: int = 0
    created: str = ""
    desired: int | None = None
    max_replicas: int | None = None


Sizes = dict[str, int]
"""New sizes by ReplicaSet name; who is not in it stays."""


def strategy_of(deployment: Object) -> Strategy:
    """Resolve the percentages: surge rounds up, unavailable down, and both nought means one unavailable."""
    spec = deployment["spec"]
    replicas = int(spec.get("replicas", 1))
    strategy = spec.get("strategy") or {}
    if strategy.get("type", ROLLING_UPDATE) != ROLLING_UPDATE:
        return Strategy(replicas, 0, 0, rolling=False)
    limits = strategy.get("rollingUpdate") or {}
    surge = resolve(limits.get("maxSurge", "25%"), replicas, round_up=True)
    unavailable = resolve(limits.get("maxUnavailable", "25%"), replicas, round_up=False)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return Strategy(replicas, surge, min(unavailable, replicas))


def resolve(limit: int | str, total: int, *, round_up: bool) -> int:
    """An ``IntOrString``: a number as it is, a percentage of ``total``."""
    if isinstance(limit, int):
        return limit
    percent = int(limit.removesuffix("%"))
    return -(-total * percent // 100) if round_up else total * percent // 100


def new_replicas(strategy: Strategy, new_size: int, all_sizes: int) -> int:
    """What the newest ReplicaSet, now ``new_size`` of ``all_sizes`` pods, may grow to."""
    if not strategy.rolling:
        return strategy.replicas
    room = strategy.replicas + strategy.max_surge - all_sizes
    if room <= 0:
        return new_size
    return new_size + min(room, strategy.replicas - new_size)


def plan_rollout(strategy: Strategy, new: Generation, olds: Sequence[Generation]) -> Sizes:
    """The next step of a rolling update; empty when nothing can or need be done now."""
    total = new.replicas + sum(old.replicas for old in olds)
    if new.replicas > strategy.replicas:
        return {new.name: strategy.replicas}
    if new.replicas < strategy.replicas:
        size = new_replicas(strategy, new.replicas, total)
        if size != new.replicas:
            return {new.name: size}
    return _shrink(strategy, new, olds, total)


def _shrink(strategy: Strategy, new: Generation, olds: Sequence[Generation], total: int) -> Sizes:
    """Take old pods away: those that do not work first, then as many as ``min_available`` leaves."""
    spare = total - strategy.min_available - max(0, new.replicas - new.available)
    if spare <= 0:
        return {}
    by_age = sorted(olds, key=lambda old: (old.created, old.name))
    sizes: Sizes = {}
    for old in by_age:
        if (broken := min(spare, old.replicas - old.available)) > 0:
            sizes[old.name] = old.replicas - broken
            spare -= broken
    working = new.available + sum(old.available for old in olds) - strategy.min_available
    for old in by_age:
        size = sizes.get(old.name, old.replicas)
        if (extra := min(working, size)) > 0:
            sizes[old.name] = size - extra
            working -= extra
    return sizes


def plan_scale(strategy: Strategy, new: Generation | None, olds: Sequence[Generation]) -> Sizes:
    """The sizes after ``spec.replicas`` changed, or while paused: shared out in proportion during a rolling update."""
    active = [generation for generation in (new, *olds) if generation is not None and generation.replicas > 0]
    if len(active) <= 1:
        target = active[0] if active else new or max(olds, key=lambda old: (old.created, old.name), default=None)
        if target is None or target.replicas == strategy.replicas:
            return {}
        return {target.name: strategy.replicas}
    if new is not None and new.replicas == new.desired == new.available == strategy.replicas:
        return {old.name: 0 for old in olds if old.replicas > 0}
    return _proportional(strategy, active) if strategy.rolling else {}


def _proportional(strategy: Strategy, active: list[Generation]) -> Sizes:
    allowed = strategy.replicas + strategy.max_surge if strategy.replicas > 0 else 0
    change = allowed - sum(generation.replicas for generation in active)
    # the larger first; of two of one size the newer when growing, the older when shrinking
    active = sorted(active, key=lambda generation: (generation.created, generation.name), reverse=change > 0)
    active.sort(key=lambda generation: generation.replicas, reverse=True)
    sizes: Sizes = {}
    moved = 0
    for generation in active:
        share = _share(strategy, generation, change, moved) if change else 0
        sizes[generation.name] = generation.replicas + share
        moved += share
    if active and change:
        sizes[active[0].name] = max(0, sizes[active[0].name] + change - moved)
    return {generation.name: sizes[generation.name] for generation in active}


def _share(strategy: Strategy, generation: Generation, change: int, moved: int) -> int:
    left = change - moved
    if left == 0:
        return 0
    if strategy.replicas == 0:
        fraction = -generation.replicas
    else:
        base = generation.max_replicas or strategy.replicas
        grown = generation.replicas * (strategy.replicas + strategy.max_surge) / base
        fraction = round_half_away(grown) - generation.replicas
    return min(fraction, left) if change > 0 else max(fraction, left)


def round_half_away(value: float) -> int:
    """``integer.RoundToInt32``: halves away from nought."""
    return int(Decimal(value).quantize(Decimal(1), rounding=ROUND_HALF_UP)) if math.isfinite(value) else 0


def plan_recreate(olds: Sequence[Generation]) -> Sizes:
    """Everything old goes before anything new comes."""
    return {old.name: 0 for old in olds if old.replicas > 0}
