"""What the agent says of its node: conditions, events, labels, images, and whether Podman answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from picluster_agent.config import Config, Serving
from picluster_agent.machine import Pressure
from picluster_agent.node import conditions, events, features, registration
from picluster_agent.node.images import images
from picluster_agent.node.readiness import duration
from picluster_agent.podman import watch

NOW, BEFORE = "2026-01-01T00:00:10Z", "2026-01-01T00:00:00Z"
CALM = Pressure(memory=False, disk=False, pids=False)
HOT = {"type": "HighTemperature", "status": "True", "reason": "BoardTooHot", "message": "the board has 85 °C"}


def config(**more: Any) -> Config:
    return Config("pi-1", "10.0.0.1", Path("/k"), Serving(Path("/c"), Path("/k"), Path("/a")), **more)


def by_type(listed: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {one["type"]: one for one in listed}


def test_a_calm_node_is_ready_in_the_kubelets_words() -> None:
    found = by_type(conditions.conditions({}, CALM, [], [], NOW))
    said = {kind: (one["status"], one["reason"], one["message"]) for kind, one in found.items()}
    assert said == {
        "MemoryPressure": ("False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        "DiskPressure": ("False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        "PIDPressure": ("False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        "Ready": ("True", "KubeletReady", "kubelet is posting ready status"),
    }


def test_pressure_and_problems_are_told_and_times_kept() -> None:
    previous = {"conditions": conditions.conditions({}, Pressure(True, True, True), ["a"], [HOT], BEFORE)}
    found = by_type(conditions.conditions(previous, Pressure(True, False, True), ["a", "b"], [HOT], NOW))
    assert found["MemoryPressure"]["message"] == "kubelet has insufficient memory available"
    assert found["PIDPressure"]["reason"] == "KubeletHasInsufficientPID"
    assert found["Ready"]["message"] == "[a, b]"
    assert found["HighTemperature"]["reason"] == "BoardTooHot"
    changed = {kind for kind, one in found.items() if one["lastTransitionTime"] == NOW}
    assert changed == {"DiskPressure"}
    assert {one["lastHeartbeatTime"] for one in found.values()} == {NOW}


def test_what_is_no_longer_said_is_taken_away_and_others_conditions_stay() -> None:
    current = {"conditions": [{"type": "HighTemperature"}, {"type": "NetworkUnavailable"}]}
    listed = conditions.conditions(current, CALM, [], [], NOW)
    patch = conditions.as_patch(listed, current, (*conditions.OWN, "HighTemperature"))
    assert [one for one in patch if "$patch" in one] == [{"type": "HighTemperature", "$patch": "delete"}]


@pytest.mark.parametrize(
    ("before", "after", "reasons"),
    [
        ({}, {"MemoryPressure": "False", "Ready": "True"}, ["NodeHasSufficientMemory"]),
        ({"Ready": "False"}, {"Ready": "True"}, ["NodeReady"]),
        ({"Ready": "True"}, {"Ready": "False", "PIDPressure": "True"}, ["NodeNotReady", "NodeHasInsufficientPID"]),
        ({"DiskPressure": "False"}, {"DiskPressure": "True"}, ["NodeHasDiskPressure"]),
        ({"DiskPressure": "True"}, {"DiskPressure": "True"}, []),
        ({}, {"HighTemperature": "False"}, []),
        ({}, {"HighTemperature": "True"}, ["HighTemperature"]),
        ({"HighTemperature": "True"}, {"HighTemperature": "False"}, ["HighTemperature"]),
    ],
)
def test_a_change_is_an_event(before: dict[str, str], after: dict[str, str], reasons: list[str]) -> None:
    def listed(statuses: dict[str, str]) -> list[dict[str, Any]]:
        return [{"type": kind, "status": one, "reason": kind, "message": "m"} for kind, one in statuses.items()]

    found = events.transitions("pi-1", listed(before), listed(after))
    assert [one.reason for one in found] == reasons
    assert all(one.message in (f"Node pi-1 status is now: {one.reason}", "m") for one in found)
    hot = [one for one in found if one.reason == "HighTemperature"]
    assert all((one.type == "Warning") == (after["HighTemperature"] == "True") for one in hot)


def test_another_boot_and_a_cordon_are_events() -> None:
    known = {"nodeInfo": {"bootID": "a"}}
    assert events.rebooted("pi-1", known, "a") == events.rebooted("pi-1", {}, "a") == []
    assert events.rebooted("pi-1", known, "b") == [("Warning", "Rebooted", "Node pi-1 has been rebooted, boot id: b")]
    plain: dict[str, Any] = {"spec": {}}
    cordoned: dict[str, Any] = {"spec": {"unschedulable": True}}
    assert [one.reason for one in events.schedulable("n", plain, cordoned)] == ["NodeNotSchedulable"]
    assert [one.reason for one in events.schedulable("n", cordoned, plain)] == ["NodeSchedulable"]
    assert events.schedulable("n", plain, {"spec": {"unschedulable": False}}) == []


def test_labels_are_put_right_and_users_labels_stay() -> None:
    kept = registration.labels(config(labels={"rack": "a"}), "arm64", "Raspberry-Pi-5")
    assert kept["node.kubernetes.io/instance-type"] == "Raspberry-Pi-5"
    assert kept["rack"] == "a"
    node = registration.node(config(taints=({"key": "k", "effect": "NoSchedule"},)), kept, {})
    assert node["spec"]["taints"] == [{"key": "k", "effect": "NoSchedule"}]
    assert registration.correction(node, kept) is None
    node["metadata"]["labels"].update({"kubernetes.io/arch": "amd64", "mine": "yes"})
    node["metadata"]["annotations"] = {"other": "1"}
    assert registration.correction(node, kept) == {
        "metadata": {
            "labels": {"kubernetes.io/arch": "arm64"},
            "annotations": {"volumes.kubernetes.io/controller-managed-attach-detach": "true"},
        }
    }
    assert "node.kubernetes.io/instance-type" not in registration.labels(config(), "amd64", "")


def test_what_others_put_into_the_capacity_can_be_allocated() -> None:
    found = registration.with_extended({"cpu": "1"}, {"cpu": "4", "example.com/foo": "3"})
    assert found == {"cpu": "1", "example.com/foo": "3"}


def test_images_have_digests_first_and_the_largest_leads() -> None:
    listed = [
        {"RepoDigests": ["a@sha256:1"], "RepoTags": ["a:1"], "Size": 1},
        {"RepoTags": [f"b:{number}" for number in range(9)], "Size": 2},
        {"Size": 3},
    ]
    assert images(listed) == [
        {"names": [f"b:{number}" for number in range(5)], "sizeBytes": 2},
        {"names": ["a@sha256:1", "a:1"], "sizeBytes": 1},
    ]


def test_handlers_of_the_runtimes() -> None:
    found = features.runtime_handlers(["crun"], recursive_read_only=True, user_namespaces=False)
    assert [one["name"] for one in found] == ["", "crun"]
    assert found[0]["features"] == {"recursiveReadOnlyMounts": True, "userNamespaces": False}


def test_durations_are_those_of_go() -> None:
    assert [duration(each) for each in (5, 185, 7322)] == ["5s", "3m5s", "2h2m2s"]


def test_podman_is_down_after_two_pings_and_restarted_ever_more_seldom() -> None:
    health = watch.judged(watch.Health(), answered=False, now_s=10)
    assert not health.down
    health = watch.judged(health, answered=False, now_s=13)
    assert health.down
    assert health.next_restart_s == 13 + watch.RESTART_AFTER_S
    pauses = []
    for _ in range(8):
        before_s = health.next_restart_s
        health = watch.restarted(health, before_s)
        health = watch.judged(health, answered=False, now_s=before_s)
        pauses.append(health.next_restart_s - before_s)
    assert pauses == [120, 240, 480, 960, 1800, 1800, 1800, 1800]
    assert watch.judged(health, answered=True, now_s=99) == watch.Health()
