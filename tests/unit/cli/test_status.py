"""What the one look says of nodes and workloads."""

from __future__ import annotations

from picluster.cli.status import Workload, node_state, workloads


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


def test_workloads() -> None:
    found = workloads(
        [
            {"metadata": {"namespace": "a", "name": "b"}, "spec": {"replicas": 3}, "status": {"readyReplicas": 2}},
            {"metadata": {"namespace": "a", "name": "c"}, "spec": {"replicas": 0}},
        ]
    )
    assert found == [Workload("a", "b", 2, 3), Workload("a", "c", 0, 0)]
    assert [workload.healthy for workload in found] == [False, True]
