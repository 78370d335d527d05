"""Assumptions, confirmations and nodes that come and go: the books stay balanced."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from picluster.scheduler.model import pod_info
from picluster.scheduler.snapshot import Snapshot


def node(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "status": {"allocatable": {"cpu": "4", "pods": "10"}}}


def pod(name: str, on: str | None = None, phase: str = "Pending") -> dict[str, Any]:
    spec: dict[str, Any] = {"containers": [{"name": "c", "resources": {"requests": {"cpu": "1"}}}]}
    if on:
        spec["nodeName"] = on
    return {"metadata": {"name": name, "namespace": "d", "uid": name}, "spec": spec, "status": {"phase": phase}}


def test_an_assumed_pod_counts_until_it_is_confirmed_or_forgotten() -> None:
    snapshot = Snapshot()
    snapshot.set_node(node("a"))
    info = pod_info(pod("p"))
    snapshot.assume(info, "a")
    snapshot.set_pod(pod("p"))
    assert snapshot.is_placed("d/p")
    snapshot.set_pod(pod("p", on="a"))
    snapshot.forget(info)
    assert list(snapshot.nodes["a"].pods) == ["d/p"]
    other = pod_info(pod("q"))
    snapshot.assume(other, "a")
    snapshot.forget(other)
    assert list(snapshot.nodes["a"].pods) == ["d/p"]


def test_pods_of_a_node_that_is_not_known_yet_count_when_it_comes() -> None:
    snapshot = Snapshot()
    snapshot.set_pod(pod("p", on="a"))
    snapshot.set_node(node("a"))
    assert list(snapshot.nodes["a"].pods) == ["d/p"]
    snapshot.remove_node("a")
    snapshot.set_node(node("a"))
    assert list(snapshot.nodes["a"].pods) == ["d/p"]


steps = st.lists(
    st.tuples(
        st.sampled_from(["bind", "finish", "remove", "assume", "forget", "node", "lose"]),
        st.sampled_from("pqr"),
        st.sampled_from("ab"),
    ),
    max_size=30,
)


@given(steps)
def test_what_a_node_has_given_is_what_its_pods_ask(changes: list[tuple[str, str, str]]) -> None:
    snapshot = Snapshot()
    for what, name, where in changes:
        match what:
            case "bind":
                snapshot.set_pod(pod(name, on=where))
            case "finish":
                snapshot.set_pod(pod(name, on=where, phase="Succeeded"))
            case "remove":
                snapshot.remove_pod(f"d/{name}")
            case "assume" if not snapshot.is_placed(f"d/{name}"):
                snapshot.assume(pod_info(pod(name)), where)
            case "forget":
                snapshot.forget(pod_info(pod(name)))
            case "node":
                snapshot.set_node(node(where))
            case "lose":
                snapshot.remove_node(where)
    placed = [key for entry in snapshot.nodes.values() for key in entry.pods]
    assert len(placed) == len(set(placed))
    for entry in snapshot.nodes.values():
        assert entry.requested.get("cpu", 0) == 10**9 * len(entry.pods)
        assert all(snapshot.is_placed(key) for key in entry.pods)
