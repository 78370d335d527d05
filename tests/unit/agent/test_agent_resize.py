"""Allocations kept and resizes judged: tables of values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from picluster.util.clock import VirtualClock
from picluster_agent.admission.decide import NodeView, amounts
from picluster_agent.cgroups.manager import PodGroups
from picluster_agent.cgroups.values import UNLIMITED, GroupLimits
from picluster_agent.sync import allocation, resize
from picluster_agent.sync.allocation import Allocation
from picluster_agent.sync.resize import Target
from picluster_agent.sync.resources import PodResources

MIB = 1024**2


def container(name: str, cpu: str = "", memory: str = "", **fields: Any) -> dict[str, Any]:
    given = {key: amount for key, amount in (("cpu", cpu), ("memory", memory)) if amount}
    return {"name": name, "resources": {"requests": given, "limits": given} if given else {}, **fields}


def pod(*containers: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p", "uid": "u", **metadata}, "spec": {"containers": list(containers)}}


def node(cpu: str = "2", memory: str = "1Gi") -> NodeView:
    return NodeView("n", amounts({"cpu": cpu, "memory": memory}), 110)


def test_a_pod_is_seen_with_what_it_was_granted() -> None:
    asked = pod(container("a", "200m"), container("b", "1"))
    granted = {"a": container("a", "100m")["resources"], "b": container("b", "1000m")["resources"]}
    seen = allocation.applied(asked, granted)
    assert seen["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "100m"}
    assert asked["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "200m"}
    assert allocation.applied(asked, {**granted, "a": {"requests": {"cpu": "0.2"}, "limits": {"cpu": "0.2"}}}) is asked


def test_what_was_kept_is_found_again_and_nonsense_is_not(tmp_path: Path) -> None:
    path = tmp_path / "resources.json"
    assert allocation.read(path) is None
    kept = Allocation({"a": {"requests": {"cpu": "1"}}}, {"a": {"requests": {"cpu": "2"}}})
    allocation.write(path, kept)
    assert allocation.read(path) == kept
    assert [entry.name for entry in tmp_path.iterdir()] == ["resources.json"]
    for torn in ("", "{", "[]", '{"allocated": 1, "actuated": {}}', '{"allocated": {}}'):
        path.write_text(torn)
        assert allocation.read(path) is None


def test_without_the_file_the_status_says_what_was_granted_and_given() -> None:
    asked = pod(container("a", "300m"), container("b"))
    assert allocation.of_status(asked) is None
    has = {"requests": {"cpu": "100m"}, "limits": {"cpu": "100m"}}
    one = {"name": "a", "resources": has, "allocatedResources": {"cpu": "200m"}}
    found = allocation.of_status({**asked, "status": {"containerStatuses": [one]}})
    assert found is not None
    assert found.allocated == {"a": {"requests": {"cpu": "200m"}, "limits": {"cpu": "100m"}}, "b": {}}
    assert found.actuated == {"a": has}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (pod(container("a", "1")), None),
        (pod(container("a", "1500m")), ("Deferred", "cpu, requested: 1500, used: 1000, capacity: 2000")),
        (pod(container("a", "3")), ("Infeasible", "Node didn't have enough capacity: cpu, requested: 3000, capacity:")),
        (
            pod(container("a", "3", "2Gi")),
            (
                "Infeasible",
                f"Node didn't have enough capacity: memory, requested: {2048 * MIB}, capacity: {1024 * MIB}",
            ),
        ),
        (
            pod(container("a", "1"), annotations={"kubernetes.io/config.source": "file"}),
            ("Infeasible", "In-place resize of static-pods is not supported"),
        ),
    ],
)
def test_what_the_node_grants(asked: dict[str, Any], expected: tuple[str, str] | None) -> None:
    refused = resize.refused(asked, [pod(container("other", "1"))], node())
    if expected is None:
        assert refused is None
    else:
        assert refused is not None and refused[0] == expected[0] and expected[1] in refused[1]


def test_those_that_wait_are_tried_in_order() -> None:
    small = allocation.of_pod(pod(container("a", "100m")))
    more, less = pod(container("a", "200m")), pod(container("a", "50m"))
    important = {**more, "spec": {**more["spec"], "priority": 7}}
    sure = pod(container("a", "200m", "1Mi"))
    ranks = [
        resize.rank(less, small, 9.0),
        resize.rank(important, small, 8.0),
        resize.rank(sure, small, 7.0),
        resize.rank(more, small, 1.0),
        resize.rank(more, small, 2.0),
    ]
    assert ranks == sorted(ranks) and len(set(ranks)) == len(ranks)


def test_who_must_start_again() -> None:
    policy = [{"resourceName": "memory", "restartPolicy": "RestartContainer"}]
    before = allocation.of_pod(pod(container("a", "1", "1Mi"), container("b", "1", "1Mi")))
    changed = pod(container("a", "2", "2Mi", resizePolicy=policy), container("b", "2", "2Mi"))
    assert resize.restarts(changed, before) == {"a"}
    assert resize.restarts(pod(container("a", "2", "1Mi", resizePolicy=policy)), before) == frozenset()
    targets = resize.targets(changed, before, {"b": "id"})
    assert targets == [
        Target("b", GroupLimits(1024, 100_000, MIB), GroupLimits(2048, 200_000, 2 * MIB)),
    ]


def given(quota_us: int, memory_mib: int) -> GroupLimits:
    return GroupLimits(1024, quota_us, memory_mib * MIB if memory_mib != UNLIMITED else UNLIMITED)


def test_a_pod_never_has_less_than_its_containers() -> None:
    grows, sinks = Target("up", given(10, 1), given(20, 2)), Target("down", given(20, 2), given(10, 1))
    bigger, smaller = Target("", given(30, 3), given(40, 4)), Target("", given(40, 4), given(30, 3))
    assert [name for name, _ in resize.steps(bigger, [grows, sinks])] == ["", "down", "up"] * 2
    assert [name for name, _ in resize.steps(smaller, [grows, sinks])] == ["down", "up", ""] * 2
    unbounded = Target("", given(30, 3), given(UNLIMITED, UNLIMITED))
    order = resize.steps(unbounded, [grows])
    assert order[0] == ("", GroupLimits(memory_bytes=UNLIMITED))
    assert order[2] == ("", GroupLimits(cpu_shares=1024, cpu_quota_us=UNLIMITED))
    assert resize.steps(None, []) == []


def test_memory_that_is_in_use_stays() -> None:
    whole, one = Target("", given(10, 4), given(10, 2)), Target("c", given(10, 4), given(10, 2))
    assert resize.too_low(whole, [one], {"": MIB, "c": MIB}) == ""
    assert resize.too_low(None, [one], {"c": 3 * MIB}) == (
        f'cannot decrease memory limits: attempting to set container "c" memory limit ({2 * MIB}) below current usage '
        f"({3 * MIB})"
    )
    assert resize.too_low(whole, [one], {"": 3 * MIB, "c": 2 * MIB}).startswith(
        "cannot decrease memory limits: [attempting to set pod memory limit ("
    )
    assert resize.too_low(None, [Target("c", given(10, 2), given(10, 4))], {"c": 9 * MIB}) == ""


def test_what_events_carry() -> None:
    sidecar = container("s", "1m", restartPolicy="Always")
    described = {
        "spec": {
            "initContainers": [container("i", "1"), sidecar],
            "containers": [container("a", "1", "2Mi"), container("b")],
        }
    }
    assert resize.summary(described, 3, "why") == (
        '{"initContainers":[{"name":"s","resources":{"limits":{"cpu":"1m"},"requests":{"cpu":"1m"}}}],'
        '"containers":[{"name":"a","resources":{"limits":{"cpu":"1","memory":"2Mi"},'
        '"requests":{"cpu":"1","memory":"2Mi"}}},{"name":"b","resources":{}}],"generation":3,"error":"why"}'
    )


class Recorder:
    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []

    def event(self, obj: Any, kind: str, reason: str, message: str, *, field_path: str = "") -> None:
        self.said.append((obj["metadata"]["name"], reason))


def ledger(root: Path, recorder: Recorder, pods_max: int = 110) -> PodResources:
    """What a node has given, on a machine without control groups."""
    groups = PodGroups(None, VirtualClock())
    view = NodeView("n", amounts({"cpu": "1", "memory": "1Gi"}), pods_max)
    return PodResources(groups, recorder, VirtualClock(), lambda: view, lambda uid: root / uid / "resources.json")  # type: ignore[arg-type]


def named(name: str, cpu: str, generation: int = 1, **spec: Any) -> dict[str, Any]:
    made = pod(container("a", cpu), name=name, namespace="d", uid=name, generation=generation)
    made["spec"].update(spec)
    return made


def granted(of: dict[str, Any]) -> str:
    return str(of["spec"]["containers"][0]["resources"]["requests"]["cpu"])


def test_two_pods_never_get_the_same_room_and_a_resize_waits_for_it(tmp_path: Path) -> None:
    recorder = Recorder()
    held = ledger(tmp_path, recorder)
    woken: list[str] = []
    held.listen(woken.append)
    held.take(named("one", "600m"), here=False)
    held.take(named("two", "600m"), here=False)
    ruling = held.ruling("two")
    assert ruling is not None and (ruling.reason, ruling.bare) == ("OutOfcpu", True)
    held.take(named("three", "300m"), here=False)
    assert granted(held.take(named("three", "500m", 2), here=False)) == "300m"
    (notice,) = held.notices("three")
    assert (notice.type, notice.reason, notice.generation) == ("PodResizePending", "Deferred", 2)
    held.release("one")
    assert woken == ["three"]
    assert granted(held.pods()[0]) == "500m"
    (notice,) = held.notices("three")
    assert (notice.type, notice.reason) == ("PodResizeInProgress", "")
    assert [reason for _, reason in recorder.said] == ["OutOfcpu", "ResizeDeferred", "ResizeStarted"]
    held.take(named("vital", "1", priority=2_000_000_000), here=False)
    ruling = held.ruling("three")
    assert ruling is not None and ruling.reason == "Preempting" and held.ruling("vital") is None


def test_an_agent_that_starts_anew_goes_on_where_the_last_one_was(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    first = ledger(tmp_path, Recorder())
    first.take(named("one", "300m"), here=False)
    first.prepared("one")
    first.take(named("one", "600m", 2), here=False)
    assert first.given("one")["a"]["requests"] == {"cpu": "300m"}
    again = ledger(tmp_path, Recorder())
    assert granted(again.take(named("one", "2", 3), here=True)) == "600m"
    kinds = [(notice.type, notice.reason) for notice in again.notices("one")]
    assert kinds == [("PodResizePending", "Infeasible"), ("PodResizeInProgress", "")]
    assert granted(again.standing(named("one", "2", 3))) == "300m"
    again.started("one", "a")
    again.actuate("one", {"a": "id"})
    assert [notice.type for notice in again.notices("one")] == ["PodResizePending"]
    assert again.given("one")["a"]["requests"] == {"cpu": "600m"}


def test_what_runs_already_is_not_asked_again(tmp_path: Path) -> None:
    held = ledger(tmp_path, Recorder(), pods_max=1)
    for name in ("one", "two"):
        held.take(named(name, "900m"), here=True)
        assert held.ruling(name) is None
    held.take(named("three", "1m"), here=False)
    assert held.ruling("three") is not None
    over = {**named("four", "5"), "status": {"phase": "Failed"}}
    held.take(over, here=False)
    assert held.ruling("four") is None and held.uids() == ["one", "two"]
    held.forget("one")
    assert held.uids() == ["two"]


def test_a_resize_is_complete_when_the_container_that_wanted_a_restart_has_started(tmp_path: Path) -> None:
    recorder = Recorder()
    held = ledger(tmp_path, recorder)
    restart = [{"resourceName": "cpu", "restartPolicy": "RestartContainer"}]
    before, after = named("one", "300m"), named("one", "600m", 2)
    for one in (before, after):
        one["spec"]["containers"][0]["resizePolicy"] = restart
    held.take(before, here=False)
    held.take(after, here=False)
    assert held.restarts("one") == {"a"}
    held.actuate("one", {"a": "id"})
    held.actuate("one", {})  # it has stopped
    assert held.notices("one")
    held.started("one", "a")
    assert held.restarts("one") == frozenset()
    held.actuate("one", {"a": "id2"})
    assert not held.notices("one")
    assert recorder.said[-1] == ("one", "ResizeCompleted")
