"""What the one look says of nodes and workloads."""

from __future__ import annotations

from picluster.cli.status import Workload, node_state, troubles, workloads


def test_node_state() -> None:
    nodes = [
        {"metadata": {"name": "pi-1"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}},
        {"metadata": {"name": "pi-2"}, "status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}},
        {"metadata": {"name": "pi-3"}},
    ]
    assert [node_state(nodes, name) for name in ("pi-1", "pi-2", "pi-3", "pi-0")] == [
        "Ready",
        "NotReady",
        "NotReady",
        "-",
    ]


def test_trouble_is_every_condition_that_should_not_be_true() -> None:
    conditions = [
        {"type": "Ready", "status": "True"},
        {"type": "UnderVoltage", "status": "True"},
        {"type": "MemoryPressure", "status": "False"},
        {"type": "DiskPressure", "status": "Unknown"},
    ]
    nodes = [{"metadata": {"name": "pi-1"}, "status": {"conditions": conditions}}, {"metadata": {"name": "pi-2"}}]
    assert [troubles(nodes, name) for name in ("pi-1", "pi-2", "pi-0")] == [["UnderVoltage"], [], []]


def test_workloads() -> None:
    found = workloads(
        [
            {"metadata": {"namespace": "a", "name": "b"}, "spec": {"replicas": 3}, "status": {"readyReplicas": 2}},
            {"metadata": {"namespace": "a", "name": "c"}, "spec": {"replicas": 0}},
        ]
    )
    assert found == [Workload("a", "b", 2, 3), Workload("a", "c", 0, 0)]
    assert [workload.healthy for workload in found] == [False, True]
