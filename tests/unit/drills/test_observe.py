"""When a phase of healing holds, as a table of worlds."""

from __future__ import annotations

from typing import Any

import pytest

from picluster.drills.observe import World, selector_of


def node(ready: str = "True", taints: list[dict[str, str]] | None = None) -> dict[str, Any]:
    return {"spec": {"taints": taints or []}, "status": {"conditions": [{"type": "Ready", "status": ready}]}}


def pod(node_name: str | None, ready: bool = True, **metadata: Any) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": str(ready)}]
    return {
        "metadata": metadata,
        "spec": {"nodeName": node_name},
        "status": {"phase": "Running", "conditions": conditions},
    }


def slices(*endpoints: tuple[str, bool]) -> tuple[dict[str, Any], ...]:
    return ({"endpoints": [{"nodeName": name, "conditions": {"ready": ready}} for name, ready in endpoints]},)


BEFORE = World("pi-1", node(), slices(("pi-1", True), ("pi-2", True)), (pod("pi-1"), pod("pi-2")))
DEAD = World("pi-1", node("Unknown"), slices(("pi-2", True)), (pod("pi-1"), pod("pi-2"), pod("pi-3", ready=False)))
HEALED = World("pi-1", node("Unknown"), slices(("pi-2", True)), (pod("pi-2"), pod("pi-3")))


@pytest.mark.parametrize(
    ("world", "detected", "removed", "bound", "ready"),
    [
        (BEFORE, False, False, False, False),
        (DEAD, True, True, True, False),
        (HEALED, True, True, True, True),
        (World("pi-1", None, (), ()), True, True, False, False),
    ],
    ids=["before", "bound", "healed", "node object gone"],
)
def test_phases(world: World, detected: bool, removed: bool, bound: bool, ready: bool) -> None:
    assert world.reached(replicas=2) == {
        "detected_s": detected,
        "endpoint_removed_s": removed,
        "replacement_bound_s": bound,
        "replacement_ready_s": ready,
    }


@pytest.mark.parametrize(
    "absent",
    [pod(None), pod("pi-1"), pod("pi-2", deletionTimestamp="now"), {**pod("pi-2"), "status": {"phase": "Failed"}}],
    ids=["unbound", "on the victim", "terminating", "failed"],
)
def test_pods_that_do_not_count_as_replacements(absent: dict[str, Any]) -> None:
    assert World("pi-1", None, (), (absent,)).pods_elsewhere() == []


def test_a_node_is_back_when_it_is_ready_and_nothing_keeps_pods_away() -> None:
    taint = {"key": "node.kubernetes.io/out-of-service", "effect": "NoExecute"}
    assert World("pi-1", node(), (), ()).node_is_ready()
    assert not World("pi-1", node(taints=[taint]), (), ()).node_is_ready()
    assert not World("pi-1", node("Unknown"), (), ()).node_is_ready()
    assert not World("pi-1", None, (), ()).node_is_ready()


def test_selector() -> None:
    assert selector_of({"spec": {"selector": {"tier": "front", "app": "web"}}}) == "app=web,tier=front"
