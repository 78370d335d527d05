"""What the scheduler's loop makes of the pods it is told about: whose turn it is, and what is kept of each."""

from __future__ import annotations

from typing import Any

import pytest

from picluster.scheduler.loop import Change, could_help, is_waiting, trimmed
from picluster.scheduler.model import pod_info


def pod(phase: str = "Pending", deleted: str = "", **spec: Any) -> dict[str, Any]:
    metadata = {"name": "p", "namespace": "d", "uid": "u", "labels": {"app": "web"}}
    container = {"name": "c", "image": "web:1", "resources": {"requests": {"cpu": "1"}}}
    return {
        "metadata": {**metadata, **({"deletionTimestamp": deleted} if deleted else {})},
        "spec": {"containers": [container], **spec},
        "status": {"phase": phase},
    }


@pytest.mark.parametrize(
    ("subject", "waits"),
    [
        (pod(), True),
        (pod(schedulerName="default-scheduler"), True),
        (pod(schedulerName="mine"), False),
        (pod(nodeName="pi-1"), False),
        (pod(schedulingGates=[{"name": "a"}]), False),
        (pod(schedulingGates=[]), True),
        (pod(deleted="2026-01-01T00:00:00Z"), False),
        (pod(phase="Failed"), False),
        (pod(phase="Succeeded"), False),
    ],
)
def test_whose_turn_it_is(subject: dict[str, Any], waits: bool) -> None:
    assert is_waiting(subject) is waits


def test_what_is_kept_of_a_pod_places_it_as_the_whole_would() -> None:
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}}
    whole = pod(affinity=affinity, tolerations=[{"operator": "Exists"}], overhead={"cpu": "10m"}, priority=7)
    whole["spec"]["initContainers"] = [{"name": "i", "image": "init:1", "resources": {"requests": {"cpu": "2"}}}]
    small = trimmed(whole)
    for name in ("key", "uid", "labels", "requests", "priority", "tolerations", "images", "required_affinity"):
        assert getattr(pod_info(small), name) == getattr(pod_info(whole), name), name


def test_what_placing_does_not_need_is_let_go() -> None:
    whole = pod(volumes=[{"name": "v", "emptyDir": {}}])
    whole["spec"]["containers"][0].update(env=[{"name": "A", "value": "b"}], volumeMounts=[{"name": "v"}])
    whole["metadata"]["annotations"] = {"long": "text"}
    whole["status"]["conditions"] = [{"type": "Ready"}, {"type": "PodScheduled"}]
    small = trimmed(whole)
    assert "annotations" not in small["metadata"]
    assert "volumes" not in small["spec"]
    assert set(small["spec"]["containers"][0]) == {"name", "image", "resources"}
    assert small["status"]["conditions"] == [{"type": "PodScheduled"}]
    assert whole["spec"]["volumes"], "the original is left as it was"


SPREAD = {"topologyKey": "zone", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"}
NEAR = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "zone"}]}}


@pytest.mark.parametrize(
    ("subject", "change", "helped"),
    [
        (pod(), Change.ROOM, True),
        (pod(), Change.NEIGHBOURS, False),
        (pod(affinity=NEAR), Change.NEIGHBOURS, True),
        (pod(topologySpreadConstraints=[SPREAD]), Change.NEIGHBOURS, True),
        (pod(topologySpreadConstraints=[{**SPREAD, "whenUnsatisfiable": "ScheduleAnyway"}]), Change.NEIGHBOURS, False),
    ],
)
def test_who_may_be_helped_by_what_changed(subject: dict[str, Any], change: Change, helped: bool) -> None:
    assert could_help(frozenset({change}))(pod_info(subject)) is helped
