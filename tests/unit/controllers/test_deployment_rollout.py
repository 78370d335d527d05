"""How Deployments move: tables against Kubernetes' arithmetic, and roll-outs played to their end."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picluster.controllers.deployment_rollout import (
    Generation,
    Strategy,
    plan_recreate,
    plan_rollout,
    plan_scale,
    resolve,
    round_half_away,
    strategy_of,
)


def deployment(replicas: int, surge: int | str, unavailable: int | str) -> dict[str, object]:
    limits = {"maxSurge": surge, "maxUnavailable": unavailable}
    return {"spec": {"replicas": replicas, "strategy": {"type": "RollingUpdate", "rollingUpdate": limits}}}


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "expected"),
    [
        (3, "25%", "25%", (1, 0)),
        (10, "25%", "25%", (3, 2)),
        (1, "25%", "25%", (1, 0)),
        (4, 0, 1, (0, 1)),
        (4, 0, "10%", (0, 1)),  # both nought: one may be unavailable
        (2, "0%", 5, (0, 2)),
        (0, "25%", "25%", (0, 0)),
        (10, "100%", 0, (10, 0)),
    ],
)
def test_limits_resolve(replicas: int, surge: int | str, unavailable: int | str, expected: tuple[int, int]) -> None:
    strategy = strategy_of(deployment(replicas, surge, unavailable))
    assert (strategy.max_surge, strategy.max_unavailable) == expected


def test_defaults_and_recreate() -> None:
    assert strategy_of({"spec": {}}) == Strategy(1, 1, 0)
    recreate = {"spec": {"replicas": 3, "strategy": {"type": "Recreate"}}}
    assert strategy_of(recreate) == Strategy(3, 0, 0, rolling=False)


@pytest.mark.parametrize(("percent", "total", "up", "down"), [("25%", 10, 3, 2), ("50%", 3, 2, 1), ("0%", 9, 0, 0)])
def test_percentages_round_as_they_should(percent: str, total: int, up: int, down: int) -> None:
    assert (resolve(percent, total, round_up=True), resolve(percent, total, round_up=False)) == (up, down)


def old(replicas: int, available: int, name: str = "old", created: str = "1") -> Generation:
    return Generation(name, replicas, available, created)


def new(replicas: int, available: int) -> Generation:
    return Generation("new", replicas, available, "9")


@pytest.mark.parametrize(
    ("strategy", "newest", "olds", "sizes"),
    [
        # room for the surge is used first
        (Strategy(10, 2, 2), new(0, 0), [old(10, 10)], {"new": 2}),
        # then as many old ones go as availability allows
        (Strategy(10, 2, 2), new(2, 0), [old(10, 10)], {"old": 8}),
        (Strategy(10, 2, 2), new(2, 0), [old(8, 8)], {"new": 4}),
        # nothing moves while the new ones do not come up
        (Strategy(10, 2, 2), new(4, 0), [old(8, 8)], {}),
        (Strategy(10, 2, 2), new(4, 2), [old(8, 8)], {"old": 6}),
        # broken old pods go at once: they cost nothing
        (Strategy(3, 1, 0), new(1, 0), [old(3, 1)], {}),
        (Strategy(3, 1, 1), new(1, 0), [old(3, 1)], {"old": 2}),
        (Strategy(3, 1, 1), new(1, 1), [old(3, 1)], {"old": 1}),
        # no surge: an old one goes first
        (Strategy(3, 0, 1), new(0, 0), [old(3, 3)], {"old": 2}),
        (Strategy(3, 0, 1), new(0, 0), [old(2, 2)], {"new": 1}),
        # the oldest go first
        (Strategy(2, 1, 0), new(1, 1), [old(1, 1, "a", "2"), old(1, 1, "b", "1")], {"b": 0}),
        (Strategy(2, 1, 1), new(2, 1), [old(1, 1, "a", "2"), old(1, 1, "b", "1")], {"b": 0, "a": 0}),
        # too many new ones
        (Strategy(2, 1, 1), new(5, 5), [], {"new": 2}),
        # done
        (Strategy(2, 1, 1), new(2, 2), [old(0, 0)], {}),
    ],
)
def test_a_step(strategy: Strategy, newest: Generation, olds: list[Generation], sizes: dict[str, int]) -> None:
    assert plan_rollout(strategy, newest, olds) == sizes


strategies = st.builds(
    lambda replicas, surge, unavailable: strategy_of(deployment(replicas, surge, unavailable)),
    st.integers(0, 12),
    st.integers(0, 6),
    st.integers(0, 6),
)


@given(strategies, st.lists(st.integers(0, 8), max_size=3), st.integers(0, 8), st.randoms(use_true_random=False))
def test_every_rollout_ends_and_stays_within_its_limits(strategy: Strategy, sizes: list[int], first: int, rng) -> None:  # type: ignore[no-untyped-def]
    fleet = {"new": Generation("new", first, 0, "9")}
    for index, size in enumerate(sizes):
        fleet[f"old{index}"] = Generation(f"old{index}", size, size, str(index))
    started_available = sum(one.available for one in fleet.values())
    total_max = max(strategy.replicas + strategy.max_surge, sum(one.replicas for one in fleet.values()))
    floor = min(strategy.min_available, started_available)
    for _ in range(200):
        newest, olds = fleet["new"], [one for name, one in fleet.items() if name != "new"]
        for name, size in plan_rollout(strategy, newest, olds).items():
            assert size >= 0
            one = fleet[name]
            fleet[name] = replace(one, replicas=size, available=min(one.available, size))
        assert sum(one.replicas for one in fleet.values()) <= total_max
        assert sum(one.available for one in fleet.values()) >= floor
        floor = min(strategy.min_available, sum(one.available for one in fleet.values()))
        waiting = [one for one in fleet.values() if one.available < one.replicas]
        if waiting:  # one more pod becomes available
            one = rng.choice(waiting)
            fleet[one.name] = replace(one, available=one.available + 1)
    assert {name: one.replicas for name, one in fleet.items() if one.replicas} == (
        {"new": strategy.replicas} if strategy.replicas else {}
    )


def sized(name: str, replicas: int, max_replicas: int, created: str = "1") -> Generation:
    return Generation(name, replicas, 0, created, desired=max_replicas, max_replicas=max_replicas)


@pytest.mark.parametrize(
    ("strategy", "newest", "olds", "sizes"),
    [
        # one ReplicaSet: it gets everything
        (Strategy(5, 2, 1), sized("new", 3, 3), [], {"new": 5}),
        (Strategy(5, 2, 1), sized("new", 5, 5), [], {}),
        (Strategy(0, 0, 0), sized("new", 3, 3), [], {"new": 0}),
        # paused before the first: the newest old one is the latest
        (Strategy(4, 1, 0), None, [sized("a", 2, 2)], {"a": 4}),
        (Strategy(3, 1, 0), None, [], {}),
        # in the middle of a roll-out: in proportion (15 of 10+3 -> 15+5 = 20 allowed, 13 there)
        (Strategy(15, 5, 0), sized("new", 5, 13, "2"), [sized("old", 8, 13)], {"old": 12, "new": 8}),
        # shrinking in proportion
        (Strategy(5, 2, 0), sized("new", 5, 13, "2"), [sized("old", 8, 13)], {"old": 4, "new": 3}),
        (Strategy(0, 0, 0), sized("new", 5, 13, "2"), [sized("old", 8, 13)], {"old": 0, "new": 0}),
    ],
)
def test_scaling(strategy: Strategy, newest: Generation | None, olds: list[Generation], sizes: dict[str, int]) -> None:
    assert plan_scale(strategy, newest, olds) == sizes


def test_a_saturated_rollout_drops_what_is_old() -> None:
    newest = Generation("new", 3, 3, "2", desired=3, max_replicas=4)
    assert plan_scale(Strategy(3, 1, 0), newest, [old(2, 2)]) == {"old": 0}


@given(strategies, st.lists(st.integers(1, 9), min_size=2, max_size=4))
def test_proportional_scaling_uses_exactly_what_is_allowed(strategy: Strategy, sizes: list[int]) -> None:
    total = sum(sizes)
    fleet = [sized(f"rs{index}", size, total, str(index)) for index, size in enumerate(sizes)]
    planned = plan_scale(strategy, fleet[0], fleet[1:])
    assert all(size >= 0 for size in planned.values())
    allowed = strategy.replicas + strategy.max_surge if strategy.replicas else 0
    if allowed >= len(sizes):
        assert sum(planned.values()) == allowed


def test_recreate_empties_the_old_ones() -> None:
    assert plan_recreate([old(2, 1), old(0, 0, "gone")]) == {"old": 0}


@pytest.mark.parametrize(("value", "rounded"), [(2.5, 3), (3.5, 4), (-2.5, -3), (2.4, 2), (float("nan"), 0)])
def test_halves_round_away_from_nought(value: float, rounded: int) -> None:
    assert round_half_away(value) == rounded
