"""Ranges of nodes, verdicts on lost pods, conditions of a namespace, fates of dependents."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picluster.controllers.garbagecollector import Decision, Owner, decide
from picluster.controllers.namespace import Remains, conditions
from picluster.controllers.nodeipam import NodeIpamController, next_free
from picluster.controllers.podgc import Verdict, surplus, verdict

CLUSTER = "10.42.0.0/16"


@pytest.mark.parametrize(
    ("taken", "expected"),
    [
        ([], "10.42.0.0/24"),
        (["10.42.0.0/24"], "10.42.1.0/24"),
        (["10.42.1.0/24"], "10.42.0.0/24"),
        (["10.42.0.0/23"], "10.42.2.0/24"),
        (["10.42.0.128/25"], "10.42.1.0/24"),
        (["10.0.0.0/8"], None),
        (["192.168.0.0/24", "fd00::/64"], "10.42.0.0/24"),
        ([f"10.42.{n}.0/24" for n in range(256)], None),
        ([f"10.42.{n}.0/24" for n in range(255)], "10.42.255.0/24"),
    ],
)
def test_the_lowest_free_range(taken: list[str], expected: str | None) -> None:
    assert next_free(CLUSTER, taken) == expected


@given(st.lists(st.tuples(st.integers(0, 2**16 - 1), st.integers(18, 30)), max_size=20))
def test_a_free_range_overlaps_nothing(given_: list[tuple[int, int]]) -> None:
    base = int(ipaddress.ip_address("10.42.0.0"))
    taken = [ipaddress.ip_network((base + offset, prefix), strict=False) for offset, prefix in given_]
    found = next_free(CLUSTER, map(str, taken))
    if found is not None:
        assert not any(ipaddress.ip_network(found).overlaps(one) for one in taken)
        assert ipaddress.ip_network(found).subnet_of(ipaddress.ip_network(CLUSTER))


def test_a_cluster_range_must_hold_a_node() -> None:
    with pytest.raises(ValueError, match=r"10\.42\.0\.0/25 is smaller"):
        NodeIpamController("10.42.0.0/25")


def pod(*, node: str = "pi-1", going: bool = False) -> dict[str, Any]:
    return {
        "metadata": {"name": "a"} | ({"deletionTimestamp": "2026-01-01T00:00:00Z"} if going else {}),
        "spec": {"nodeName": node} if node else {},
    }


def node(*, ready: bool, tainted: bool) -> dict[str, Any]:
    taint = {"key": "node.kubernetes.io/out-of-service", "effect": "NoExecute"}
    return {
        "metadata": {"name": "pi-1"},
        "spec": {"taints": [taint] if tainted else []},
        "status": {"conditions": [{"type": "Ready", "status": "True" if ready else "Unknown"}]},
    }


@pytest.mark.parametrize(
    ("one", "its_node", "expected"),
    [
        (pod(), node(ready=True, tainted=False), Verdict.KEEP),
        (pod(going=True), node(ready=False, tainted=False), Verdict.KEEP),
        (pod(going=True), node(ready=False, tainted=True), Verdict.OUT_OF_SERVICE),
        (pod(going=True), node(ready=True, tainted=True), Verdict.KEEP),
        (pod(), node(ready=False, tainted=True), Verdict.KEEP),
        (pod(), None, Verdict.ORPHANED),
        (pod(going=True), None, Verdict.ORPHANED),
        (pod(node=""), None, Verdict.KEEP),
        (pod(node="", going=True), None, Verdict.UNSCHEDULED),
    ],
)
def test_verdicts(one: dict[str, Any], its_node: dict[str, Any] | None, expected: Verdict) -> None:
    assert verdict(one, its_node) is expected


def test_the_oldest_finished_pods_go_and_evicted_ones_before_them() -> None:
    finished = [
        {"metadata": {"name": f"p{n}", "creationTimestamp": f"2026-01-0{n}T00:00:00Z"}, "status": {}} for n in (3, 1, 2)
    ]
    finished[0]["status"] = {"reason": "Evicted"}
    assert [one["metadata"]["name"] for one in surplus(finished, 1)] == ["p3", "p1"]
    assert surplus(finished, 3) == []


def said(remains: Remains) -> dict[str, tuple[str, str, str]]:
    return {c["type"]: (c["status"], c["reason"], c["message"]) for c in conditions(remains)}


def test_an_empty_namespace_has_nothing_to_complain_of() -> None:
    assert {status for status, _, _ in said(Remains()).values()} == {"False"}
    assert said(Remains())["NamespaceContentRemaining"] == (
        "False",
        "ContentRemoved",
        "All content successfully removed",
    )


def test_what_holds_a_namespace_is_named() -> None:
    remains = Remains({"pods.": 2, "deployments.apps": 1}, failures=["secrets: no"])
    remains.finalizers.update({"example.com/hold": 2})
    found = said(remains)
    assert found["NamespaceContentRemaining"] == (
        "True",
        "SomeResourcesRemain",
        "Some resources are remaining: deployments.apps has 1 resource instances, pods. has 2 resource instances",
    )
    assert found["NamespaceFinalizersRemaining"] == (
        "True",
        "SomeFinalizersRemain",
        "Some content in the namespace has finalizers remaining: example.com/hold in 2 resource instances",
    )
    assert found["NamespaceDeletionContentFailure"] == (
        "True",
        "ContentDeletionFailed",
        "Failed to delete all resource types, 1 remaining: secrets: no",
    )


A, B = {"uid": "a"}, {"uid": "b"}


@pytest.mark.parametrize(
    ("owners", "has_dependents", "finalizers", "expected"),
    [
        ([], False, [], Decision()),
        ([(A, Owner.SOLID)], False, [], Decision()),
        ([(A, Owner.SOLID), (B, Owner.DANGLING)], False, [], Decision(drop=["b"])),
        ([(A, Owner.WAITING), (B, Owner.SOLID)], True, [], Decision(drop=["a"])),
        ([(A, Owner.DANGLING)], False, [], Decision(propagation="Background")),
        ([(A, Owner.DANGLING)], True, ["orphan"], Decision(propagation="Orphan")),
        ([(A, Owner.DANGLING)], True, ["foregroundDeletion"], Decision(propagation="Foreground")),
        ([(A, Owner.WAITING)], False, [], Decision(propagation="Background")),
        ([(A, Owner.WAITING)], True, [], Decision(propagation="Foreground", unblock=True)),
        ([(A, Owner.DANGLING), (B, Owner.WAITING)], True, [], Decision(propagation="Foreground", unblock=True)),
    ],
)
def test_fates(
    owners: list[tuple[dict[str, str], Owner]], has_dependents: bool, finalizers: list[str], expected: Decision
) -> None:
    assert decide({"metadata": {"finalizers": finalizers}}, owners, has_dependents=has_dependents) == expected
