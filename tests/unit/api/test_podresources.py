"""What a pod asks for."""

from __future__ import annotations

from typing import Any

import pytest

from picluster.api.podresources import container_requests, held_requests, pod_requests, qos_class
from picluster.api.quantity import nanos
from picluster.api.types import Object


def _c(requests: Object | None = None, limits: Object | None = None, **fields: Any) -> Object:
    return {"resources": {"requests": requests or {}, "limits": limits or {}}, **fields}


@pytest.mark.parametrize(
    ("spec", "cpu"),
    [
        ({"containers": [_c({"cpu": "100m"}), _c({"cpu": "200m"})]}, "300m"),
        ({"containers": [_c({"cpu": "100m"})], "initContainers": [_c({"cpu": "1"}), _c({"cpu": "2"})]}, "2"),
        ({"containers": [_c({"cpu": "3"})], "initContainers": [_c({"cpu": "2"})]}, "3"),
        (
            {
                "containers": [_c({"cpu": "100m"})],
                "initContainers": [_c({"cpu": "500m"}, restartPolicy="Always"), _c({"cpu": "1"})],
            },
            "1500m",
        ),
        ({"containers": [{}]}, "0"),
    ],
)
def test_the_worst_moment_counts(spec: Object, cpu: str) -> None:
    assert container_requests(spec).get("cpu", 0) == nanos(cpu)


def test_pod_level_requests_and_overhead() -> None:
    spec = {
        "containers": [_c({"cpu": "100m", "example.com/gpu": "1"})],
        "resources": {"requests": {"cpu": "1"}},
        "overhead": {"cpu": "50m"},
    }
    assert pod_requests(spec) == {"cpu": nanos("1050m"), "example.com/gpu": nanos("1")}


FULL = {"cpu": "1", "memory": "1Gi"}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"containers": [{}]}, "BestEffort"),
        ({"containers": [_c({"cpu": "0"})]}, "BestEffort"),
        ({"containers": [_c({"example.com/gpu": "1"})]}, "BestEffort"),
        ({"containers": [_c({"cpu": "1"})]}, "Burstable"),
        ({"containers": [_c(FULL, FULL)]}, "Guaranteed"),
        ({"containers": [_c({"cpu": "1000m", "memory": "1024Mi"}, FULL)]}, "Guaranteed"),
        ({"containers": [_c(FULL, FULL), {}]}, "Burstable"),
        ({"containers": [_c(FULL, FULL)], "initContainers": [_c({"cpu": "1"})]}, "Burstable"),
        ({"containers": [_c({"cpu": "500m", "memory": "1Gi"}, FULL)]}, "Burstable"),
        ({"containers": [{}], "resources": {"requests": FULL, "limits": FULL}}, "Guaranteed"),
    ],
)
def test_quality_of_service(spec: Object, expected: str) -> None:
    assert qos_class(spec) == expected


def resized(asked: str, granted: str, has: str, reason: str = "") -> dict[str, Any]:
    conditions = [{"type": "PodResizePending", "status": "True", "reason": reason}] if reason else []
    one = {"name": "c", "allocatedResources": {"cpu": granted}, "resources": {"requests": {"cpu": has}}}
    return {
        "spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": asked}}}], "overhead": {"cpu": "1m"}},
        "status": {"containerStatuses": [one], "conditions": conditions},
    }


@pytest.mark.parametrize(
    ("pod", "milli"),
    [
        (resized("100m", "100m", "100m"), 101),
        (resized("300m", "100m", "100m", "Deferred"), 301),
        (resized("300m", "100m", "100m", "Infeasible"), 101),
        (resized("100m", "100m", "300m"), 301),
        (resized("100m", "200m", "50m"), 201),
        ({"spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": "1"}}}]}}, 1000),
    ],
)
def test_a_pod_on_a_node_counts_for_the_most_of_what_it_asks_for_was_granted_and_has(
    pod: dict[str, Any], milli: int
) -> None:
    assert held_requests(pod) == {"cpu": milli * 1_000_000}
