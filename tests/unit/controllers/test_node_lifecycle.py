"""The failure detector's pure parts: who is silent, what evidence means, which taints follow, when pods go."""

from __future__ import annotations

from typing import Any

import pytest

from picluster.controllers.node_lifecycle import effects
from picluster.controllers.node_lifecycle.effects import with_taints
from picluster.controllers.node_lifecycle.freshness import Freshness
from picluster.controllers.node_lifecycle.verdict import Evidence, Standing, Verdict, decide, is_partition
from picluster.controllers.tainteviction import due_s
from picluster.power.outlet import OutletState

ON, OFF, UNKNOWN = OutletState.ON, OutletState.OFF, OutletState.UNKNOWN


def lease(renewed: str, node: str = "pi-1") -> dict[str, Any]:
    return {"metadata": {"name": node}, "spec": {"holderIdentity": node, "renewTime": renewed}}


CANARY = {"metadata": {"name": "canary"}}


def freshness(*canary_seen_s: float) -> Freshness:
    """Blind when the canary has not been seen for a second."""
    fresh = Freshness("canary", 1.0)
    for seen_s in canary_seen_s:
        fresh.see(CANARY, seen_s)
    return fresh


def test_silence_counts_from_the_last_change_that_was_seen() -> None:
    fresh = freshness(9.0, 10.0, 11.0)
    fresh.see(lease("12:00:00.0"), 10.0)
    fresh.see(lease("12:00:00.5"), 10.5)
    assert fresh.silent_s("pi-1", 12.0) == 1.5


def test_a_lease_told_again_is_no_sign_of_life() -> None:
    fresh = freshness(10.0, 11.0, 12.0, 13.0)
    fresh.see(lease("12:00:00.0"), 10.5)
    fresh.see(lease("12:00:00.0"), 13.0)
    assert fresh.silent_s("pi-1", 13.5) == 3.0


def test_a_clock_that_is_wrong_does_not_condemn() -> None:
    fresh = freshness(10.0, 11.0)
    fresh.see(lease("1970-01-01T00:00:00Z"), 10.0)
    fresh.see(lease("1970-01-01T00:00:01Z"), 11.0)
    assert fresh.silent_s("pi-1", 11.1) == pytest.approx(0.1)


def test_a_node_without_a_lease_has_a_full_grace_from_when_it_is_expected() -> None:
    fresh = freshness(100.0, 101.0)
    assert fresh.silent_s("pi-1", 101.0) == 0.0
    fresh.expect("pi-1", 100.0)
    fresh.expect("pi-1", 101.0)
    assert fresh.silent_s("pi-1", 102.0) == 2.0
    fresh.forget("pi-1")
    assert fresh.silent_s("pi-1", 102.0) == 0.0


def test_who_is_blind_condemns_nobody_and_gives_a_full_grace_when_it_sees_again() -> None:
    fresh = freshness(10.0)
    fresh.see(lease("a"), 10.0)
    assert fresh.silent_s("pi-1", 60.0) == 0.0
    fresh.see(CANARY, 60.0)
    assert fresh.silent_s("pi-1", 60.5) == 0.5
    never = Freshness("canary", 1.0)
    never.see(lease("a"), 10.0)
    assert never.silent_s("pi-1", 99.0) == 0.0


@pytest.mark.parametrize(
    ("outlet", "ssh", "agent", "silent_s", "partition", "expected"),
    [
        (OFF, False, False, 1.6, False, Verdict.DEAD),
        (OFF, False, False, 1.6, True, Verdict.DEAD),
        (OFF, True, True, 1.6, False, Verdict.DEAD),
        (ON, False, False, 5.0, False, Verdict.FENCE),
        (ON, False, False, 4.9, False, Verdict.WAIT),
        (UNKNOWN, False, False, 99.0, False, Verdict.UNREACHABLE),
        (None, False, False, 1.6, False, Verdict.UNREACHABLE),
        (ON, True, False, 99.0, False, Verdict.AGENT_DOWN),
        (None, True, False, 99.0, False, Verdict.AGENT_DOWN),
        (ON, False, True, 99.0, False, Verdict.AGENT_DOWN),
        (ON, True, True, 99.0, True, Verdict.PARTITION),
        (ON, False, False, 99.0, True, Verdict.PARTITION),
        (None, False, False, 99.0, True, Verdict.PARTITION),
    ],
)
def test_verdicts(
    outlet: OutletState | None, ssh: bool, agent: bool, silent_s: float, partition: bool, expected: Verdict
) -> None:
    assert decide(Evidence(outlet, ssh, agent, silent_s), partition=partition, fence_after_s=5.0) is expected


NEW = Standing(Verdict.WAIT, 0.0)
CUT = Standing(Verdict.DEAD, 0.0)
FENCED = Standing(Verdict.DEAD, 30.0, fenced_s=30.0)
FENCED_LONG_AGO = Standing(Verdict.DEAD, 90.0, fenced_s=90.0)
LOST = Standing(Verdict.UNREACHABLE, 3600.0)
AGENTLESS = Standing(Verdict.AGENT_DOWN, 3600.0)
PARTED = Standing(Verdict.PARTITION, 3600.0)


@pytest.mark.parametrize(
    ("heard", "silent", "partition"),
    [
        (0, [NEW], True),
        (1, [NEW], False),
        (0, [NEW, NEW], True),
        (2, [NEW], False),
        (1, [NEW, NEW], True),
        (2, [NEW, NEW], False),
        (1, [NEW, NEW, NEW], True),
        (0, [CUT, CUT, CUT], False),
        (1, [CUT, NEW], False),
        (1, [FENCED, NEW], True),
        (1, [FENCED_LONG_AGO, NEW], False),
        (0, [FENCED_LONG_AGO, NEW], True),
        (1, [LOST, NEW], False),
        (1, [AGENTLESS, NEW], False),
        (1, [PARTED, PARTED], True),
        (2, [PARTED], False),
    ],
    ids=[
        "the only node", "half of two", "both", "one of three", "two of three", "half of four", "three of four",
        "a whole rack cut by hand", "one cut and one silent", "one fenced just now", "one fenced long ago",
        "the last one", "one lost long ago", "one without an agent", "a partition lasts", "a partition ends",
    ],
)  # fmt: skip
def test_most_of_the_rack(heard: int, silent: list[Standing], partition: bool) -> None:
    assert is_partition(heard, silent) is partition


def taint(key: str, effect: str, value: str = "", added: str = "") -> dict[str, str]:
    return {
        "key": key,
        **({"value": value} if value else {}),
        "effect": effect,
        **({"timeAdded": added} if added else {}),
    }


def test_taints_of_others_stay_and_ours_keep_their_time() -> None:
    theirs = taint("disk", "NoSchedule", "slow")
    by_hand = taint(effects.OUT_OF_SERVICE, "NoExecute", "nodeshutdown")
    before = [theirs, by_hand, taint(effects.UNREACHABLE, "NoExecute", added="t0")]
    dead = with_taints(before, effects.DEAD_TAINTS, "t1")
    assert dead == [
        theirs,
        by_hand,
        taint(effects.UNREACHABLE, "NoExecute", added="t0"),
        taint(effects.OUT_OF_SERVICE, "NoExecute", "picluster", added="t1"),
        taint(effects.UNREACHABLE, "NoSchedule"),
    ]
    assert with_taints(dead, effects.DEAD_TAINTS, "t2") == dead
    assert with_taints(dead, frozenset(), "t2") == [theirs, by_hand]


def test_pressure_and_a_cordon_are_tainted_and_untainted() -> None:
    node = {
        "spec": {"unschedulable": True},
        "status": {"conditions": [{"type": "DiskPressure", "status": "True"}, {"type": "Ready", "status": "True"}]},
    }
    wanted = effects.pressure_taints(node)
    assert [(entry["key"], entry["effect"]) for entry in with_taints([], wanted, "t")] == [
        ("node.kubernetes.io/disk-pressure", "NoSchedule"),
        ("node.kubernetes.io/unschedulable", "NoSchedule"),
    ]
    assert with_taints(with_taints([], wanted, "t"), effects.pressure_taints({}), "t") == []


def pod(*tolerations: dict[str, Any]) -> dict[str, Any]:
    return {"spec": {"tolerations": list(tolerations)}}


SINCE = "1970-01-01T00:01:40Z"
GONE = taint("gone", "NoExecute", added=SINCE)


@pytest.mark.parametrize(
    ("subject", "taints", "expected_s"),
    [
        (pod(), [], None),
        (pod(), [taint("gone", "NoSchedule")], None),
        (pod(), [GONE], 0.0),
        (pod({"key": "gone", "operator": "Exists"}), [GONE], None),
        (pod({"key": "gone", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}), [GONE], 400.0),
        (pod({"operator": "Exists", "tolerationSeconds": 0}), [GONE], 100.0),
        (pod({"key": "gone", "operator": "Exists", "tolerationSeconds": 9}, {"operator": "Exists"}), [GONE], 109.0),
        (pod({"key": "gone", "operator": "Exists"}), [GONE, taint("other", "NoExecute")], 0.0),
    ],
)
def test_when_a_pod_must_go(subject: dict[str, Any], taints: list[dict[str, str]], expected_s: float | None) -> None:
    assert due_s(subject, taints) == expected_s
