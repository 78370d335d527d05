"""Placements as tables of small clusters, and the fast way against the naive one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picluster.scheduler.classes import SIBLING_NODES_MAX, Classes
from picluster.scheduler.decide import Unschedulable, decide
from picluster.scheduler.model import pod_info
from picluster.scheduler.snapshot import Snapshot


def node(name: str, cpu: str = "4", memory: str = "4Gi", pods: str = "110", **spec: Any) -> dict[str, Any]:
    labels = {"kubernetes.io/hostname": name, **spec.pop("labels", {})}
    status = {"allocatable": {"cpu": cpu, "memory": memory, "pods": pods}, "images": spec.pop("images", [])}
    return {"metadata": {"name": name, "labels": labels}, "spec": spec, "status": status}


def pod(
    name: str, on: str = "", cpu: str = "", owner: str = "", labels: dict[str, str] | None = None, **spec: Any
) -> Any:
    requests = {"requests": {"cpu": cpu}} if cpu else {}
    metadata: dict[str, Any] = {"name": name, "namespace": "default", "uid": name, "labels": labels or {}}
    if owner:
        metadata["ownerReferences"] = [{"uid": owner, "controller": True}]
    container = {"name": "c", "image": "web:1", "resources": requests, "ports": spec.pop("ports", [])}
    body = {"containers": [container], **({"nodeName": on} if on else {}), **spec}
    return {"metadata": metadata, "spec": body, "status": {"phase": "Pending"}}


def cluster(nodes: list[Any], pods: list[Any] = []) -> Snapshot:  # noqa: B006 - never changed
    snapshot = Snapshot()
    for entry in nodes:
        snapshot.set_node(entry)
    for entry in pods:
        snapshot.set_pod(entry)
    return snapshot


def first(names: Any) -> str:
    return min(names)


def place(subject: Any, snapshot: Snapshot) -> str | Unschedulable:
    """The naive answer, checked to be the fast one too."""
    info = pod_info(subject)
    naive = decide(info, snapshot, first)
    assert Classes().decide(info, snapshot, first) == naive
    return naive


ANTI = {"labelSelector": {"matchLabels": {"app": "db"}}, "topologyKey": "kubernetes.io/hostname"}
TAINT = {"key": "disk", "value": "slow", "effect": "NoSchedule"}


def hard(kind: str, term: Any) -> Any:
    return {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


def soft(kind: str, weight: int, term: Any) -> Any:
    return {kind: {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": weight, "podAffinityTerm": term}]}}


SOFT = "ScheduleAnyway"
WITH_WEB = {"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": "zone"}


def spread(max_skew: int = 1, key: str = "kubernetes.io/hostname", when: str = "DoNotSchedule") -> Any:
    selector = {"matchLabels": {"app": "web"}}
    return [{"maxSkew": max_skew, "topologyKey": key, "whenUnsatisfiable": when, "labelSelector": selector}]


WEB = {"app": "web"}


@pytest.mark.parametrize(
    ("subject", "nodes", "pods", "expected"),
    [
        (pod("p", cpu="1"), [node("a", cpu="2"), node("b")], [pod("x", on="a", cpu="1500m")], "b"),
        (pod("p"), [node("a"), node("b")], [pod("x", on="a"), pod("y", on="a")], "b"),
        (pod("p", nodeSelector={"disk": "ssd"}), [node("a"), node("b", labels={"disk": "ssd"})], [], "b"),
        (pod("p"), [node("a", unschedulable=True), node("b")], [], "b"),
        (pod("p"), [node("a", taints=[TAINT]), node("b")], [pod("x", on="b", cpu="3")], "b"),
        (
            pod("p", tolerations=[{"key": "disk", "operator": "Exists"}]),
            [node("a", taints=[TAINT]), node("b")], [pod("x", on="b", cpu="3")], "a",
        ),
        (pod("p"), [node("a", taints=[{**TAINT, "effect": "PreferNoSchedule"}]), node("b")], [], "b"),
        (
            pod("p", ports=[{"containerPort": 80, "hostPort": 80}]), [node("a"), node("b")],
            [pod("x", on="a", ports=[{"containerPort": 80, "hostPort": 80}])], "b",
        ),
        (
            pod("p", affinity=hard("podAntiAffinity", ANTI)), [node("a"), node("b")],
            [pod("x", on="a", labels={"app": "db"})], "b",
        ),
        (
            pod("p", affinity=hard("podAffinity", ANTI)), [node("a"), node("b")],
            [pod("x", on="b", cpu="3", labels={"app": "db"})], "b",
        ),
        (
            pod("p", labels={"app": "db"}, affinity=hard("podAffinity", ANTI)), [node("a")], [], "a",
        ),
        (
            pod("p", labels={"app": "db"}), [node("a"), node("b")],
            [pod("x", on="a", affinity=hard("podAntiAffinity", ANTI))], "b",
        ),
        (
            pod("p", labels=WEB, topologySpreadConstraints=spread()), [node("a"), node("b", cpu="1")],
            [pod("x", on="a", labels=WEB), pod("y", on="b", cpu="500m")], "b",
        ),
        (
            pod("p", labels=WEB, topologySpreadConstraints=spread(when="ScheduleAnyway")), [node("a"), node("b")],
            [pod("x", on="a", labels=WEB)], "b",
        ),
        (pod("p", owner="rs"), [node("a"), node("b")], [pod("x", on="a", owner="rs")], "b"),
        (
            pod("p"), [node("a"), node("b", images=[{"names": ["web:1"], "sizeBytes": 900 * 1024 * 1024}])], [], "b",
        ),
        (
            pod("p", affinity={"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": 5, "preference": {"matchExpressions": [
                    {"key": "kubernetes.io/hostname", "operator": "In", "values": ["b"]}]}}]}}),
            [node("a"), node("b")], [], "b",
        ),
        (
            pod("p", affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [
                    {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["b"]}]}]}}}),
            [node("a"), node("b")], [], "b",
        ),
    ],
    ids=[
        "fit", "least allocated", "node selector", "cordoned", "taint", "tolerated taint", "soft taint", "host port",
        "anti-affinity", "affinity", "first of a group", "existing anti-affinity", "hard spread", "soft spread",
        "spread among siblings", "image", "preferred affinity", "field affinity",
    ],
)  # fmt: skip
def test_placement(subject: Any, nodes: list[Any], pods: list[Any], expected: str) -> None:
    assert place(subject, cluster(nodes, pods)) == expected


@pytest.mark.parametrize(
    ("subject", "nodes", "message"),
    [
        (pod("p"), [], "no nodes available to schedule pods"),
        (
            pod("p", cpu="2"),
            [node("a", taints=[TAINT]), node("b", cpu="1"), node("c", cpu="1", memory="1Ki", pods="0")],
            "0/3 nodes are available: "
            "1 Too many pods, 1 node(s) had untolerated taint(s), 2 Insufficient cpu. "
            "preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.",
        ),
        (
            pod("p", nodeSelector={"a": "b"}),
            [node("a")],
            "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. "
            "preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.",
        ),
    ],
)
def test_reasons(subject: Any, nodes: list[Any], message: str) -> None:
    answer = place(subject, cluster(nodes))
    assert isinstance(answer, Unschedulable)
    assert answer.message() == message


def test_a_full_node_may_be_helped_by_preemption() -> None:
    answer = place(pod("p", cpu="3"), cluster([node("a")], [pod("x", on="a", cpu="2")]))
    assert isinstance(answer, Unschedulable)
    assert answer.message().endswith("1 No preemption victims found for incoming pod.")


def test_a_finished_pod_takes_no_room() -> None:
    done = {**pod("x", on="a", cpu="4"), "status": {"phase": "Succeeded"}}
    assert place(pod("p", cpu="4"), cluster([node("a")], [done])) == "a"


PLAIN: list[dict[str, Any]] = [
    {},
    {"cpu": "500m", "labels": WEB, "owner": "rs"},
    {"cpu": "500m", "labels": WEB, "owner": "other"},
    {"cpu": "250m", "owner": "rs"},
    {"tolerations": [{"operator": "Exists"}], "cpu": "1", "owner": "tolerant"},
]


@st.composite
def worlds(draw: st.DrawFn, plain: bool = False) -> tuple[list[Any], list[Any]]:
    names = [f"n{i}" for i in range(draw(st.integers(1, 5)))]
    nodes = [
        node(
            name,
            cpu=draw(st.sampled_from(["1", "2", "4"])),
            pods=draw(st.sampled_from(["2", "110"])),
            labels=draw(st.sampled_from([{"zone": "x"}, {"zone": "y"}, {"topology.kubernetes.io/zone": "x"}])),
            images=draw(st.sampled_from([[], [{"names": ["web:1"], "sizeBytes": 900 * 1024 * 1024}]])),
            unschedulable=draw(st.booleans()) and draw(st.booleans()),
            taints=draw(st.sampled_from([[], [], [TAINT], [{**TAINT, "effect": "PreferNoSchedule"}]])),
        )
        for name in names
    ]
    templates: list[dict[str, Any]] = [
        {},
        {"cpu": "500m", "labels": WEB, "owner": "rs"},
        {"cpu": "250m", "labels": WEB, "topologySpreadConstraints": spread()},
        {"labels": WEB, "topologySpreadConstraints": spread(2, "zone")},
        {"labels": {"app": "db"}, "affinity": hard("podAntiAffinity", ANTI)},
        {"affinity": hard("podAffinity", ANTI)},
        {"labels": WEB, "affinity": soft("podAntiAffinity", 50, {**ANTI, "topologyKey": "zone"})},
        {"labels": {"app": "db"}, "owner": "db", "affinity": soft("podAffinity", 7, WITH_WEB)},
        {
            "labels": WEB,
            "topologySpreadConstraints": spread(when="ScheduleAnyway") + spread(1, "zone", "ScheduleAnyway"),
        },
        {"labels": WEB, "topologySpreadConstraints": spread(1, "zone") + spread(2)},
        {"ports": [{"containerPort": 80, "hostPort": 80}], "nodeSelector": {"zone": "x"}},
        {"tolerations": [{"operator": "Exists"}], "cpu": "1"},
    ]
    chosen = draw(st.lists(st.sampled_from(PLAIN if plain else templates), min_size=1, max_size=14))
    return nodes, [pod(f"p{i}", **template) for i, template in enumerate(chosen)]


steps = st.lists(st.tuples(st.sampled_from(["remove", "end", "node", "lose"]), st.integers(0, 13)), max_size=14)


@settings(deadline=None, max_examples=300)
@given(worlds() | worlds(plain=True), steps)
def test_classes_place_every_pod_as_the_naive_way_does(
    world: tuple[list[Any], list[Any]], changes: list[tuple[str, int]]
) -> None:
    nodes, pods = world
    fast, slow = cluster(nodes), cluster(nodes)
    classes = Classes()
    for i, subject in enumerate(pods):
        info = pod_info(subject)
        expected = decide(info, slow, first)
        assert classes.decide(info, fast, first) == expected
        for snapshot in (fast, slow):
            if isinstance(expected, str):
                snapshot.assume(info, expected)
            if i < len(changes):
                change(snapshot, *changes[i], nodes, pods)
    for entry in fast.nodes.values():
        assert all(used <= entry.allocatable.get(name, 0) for name, used in entry.requested.items())
        assert len(entry.pods) * 10**9 <= entry.allocatable["pods"]


def change(snapshot: Snapshot, what: str, number: int, nodes: list[Any], pods: list[Any]) -> None:
    """A pod goes, or is on its way out; a node changes its labels, or goes."""
    subject, entry = pods[number % len(pods)], nodes[number % len(nodes)]
    match what:
        case "remove":
            snapshot.remove_pod(pod_info(subject).key)
        case "end":
            homes = [node.name for node in snapshot.nodes.values() if pod_info(subject).key in node.pods]
            ending = {**subject["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}
            for name in homes:
                snapshot.set_pod({**subject, "metadata": ending, "spec": {**subject["spec"], "nodeName": name}})
        case "node":
            labels = {"kubernetes.io/hostname": "n0", "zone": "y"}
            snapshot.set_node({**entry, "metadata": {**entry["metadata"], "labels": labels}})
        case "lose":
            snapshot.remove_node(entry["metadata"]["name"])


def test_an_owner_on_many_nodes_is_spread_as_the_naive_way_does() -> None:
    """Up to some number of nodes they are looked at one by one; beyond it the class counts."""
    zones = {f"n{i:02}": {"topology.kubernetes.io/zone": f"z{i % 3}"} for i in range(SIBLING_NODES_MAX + 4)}
    fast, slow = (cluster([node(name, labels=labels) for name, labels in zones.items()]) for _ in range(2))
    classes = Classes()
    for i in range(2 * len(zones)):
        subject = pod_info(pod(f"p{i}", cpu="10m", owner="rs"))
        expected = decide(subject, slow, first)
        assert classes.decide(subject, fast, first) == expected
        assert isinstance(expected, str)
        fast.assume(subject, expected)
        slow.assume(subject, expected)
    assert {len(entry.pods) for entry in fast.nodes.values()} == {2}
