"""What pods and containers are given, and who is killed first; tables of values."""

from __future__ import annotations

from typing import Any

import pytest

from picluster_agent.cgroups import values
from picluster_agent.cgroups.values import UNLIMITED, GroupLimits
from picluster_agent.podman.limits import burstable_shares, container_limits, group_limits, oom_score_adjustment

MIB = 1024**2
GIB = 1024**3


def one(requests: dict[str, str] | None = None, limits: dict[str, str] | None = None, **fields: Any) -> dict[str, Any]:
    return {"name": "c", "resources": {"requests": requests or {}, "limits": limits or {}}, **fields}


def spec(*containers: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"containers": list(containers) or [{"name": "c"}], **fields}


@pytest.mark.parametrize(
    ("container", "cpu_shares", "cpu_quota_us", "memory_bytes"),
    [
        (one(), 2, UNLIMITED, UNLIMITED),
        (one({"cpu": "1m"}), 2, UNLIMITED, UNLIMITED),
        (one({"cpu": "500m"}, {"cpu": "2"}), 512, 200_000, UNLIMITED),
        (one({}, {"cpu": "250m", "memory": "32Mi"}), 256, 25_000, 32 * MIB),
        (one({}, {"cpu": "1m"}), 2, 1_000, UNLIMITED),
        (one({"cpu": "1000"}), 262_144, UNLIMITED, UNLIMITED),
    ],
)
def test_a_container_is_given(container: dict[str, Any], cpu_shares: int, cpu_quota_us: int, memory_bytes: int) -> None:
    assert container_limits(spec(container), container) == GroupLimits(cpu_shares, cpu_quota_us, memory_bytes)


def test_a_limit_of_the_whole_pod_counts_where_a_container_has_none() -> None:
    whole = {"limits": {"cpu": "1", "memory": "64Mi"}, "requests": {"cpu": "500m", "memory": "32Mi"}}
    bare, bound = one(), one({}, {"memory": "16Mi"})
    pod = spec(bare, bound, resources=whole)
    assert container_limits(pod, bare) == GroupLimits(2, 100_000, 64 * MIB)
    assert container_limits(pod, bound) == GroupLimits(2, 100_000, 16 * MIB)
    assert group_limits(pod) == GroupLimits(512, 100_000, 64 * MIB, UNLIMITED)


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        (spec(), GroupLimits(2, UNLIMITED, UNLIMITED, 100)),
        (spec(one({"cpu": "1"})), GroupLimits(1024, UNLIMITED, UNLIMITED, 100)),
        (
            spec(one({}, {"cpu": "1", "memory": "1Gi"}), one({}, {"cpu": "500m"})),
            GroupLimits(2, 150_000, UNLIMITED, 100),  # requests are the API server's to fill in
        ),
        (
            spec(
                one({"cpu": "1", "memory": "1Gi"}, {"cpu": "1", "memory": "1Gi"}),
                overhead={"cpu": "250m", "memory": "64Mi"},
            ),
            GroupLimits(1280, 125_000, GIB + 64 * MIB, 100),
        ),
        (
            spec(
                one({"cpu": "1"}, {"cpu": "1"}),
                initContainers=[
                    one({"cpu": "2"}, {"cpu": "2"}),
                    one({"cpu": "1"}, {"cpu": "1"}, restartPolicy="Always"),
                ],
            ),
            GroupLimits(2048, 200_000, UNLIMITED, 100),
        ),
        (spec(one({"cpu": "1"}, {"cpu": "1"}), initContainers=[one()]), GroupLimits(1024, UNLIMITED, UNLIMITED, 100)),
    ],
)
def test_a_pod_is_given(pod: dict[str, Any], expected: GroupLimits) -> None:
    assert group_limits(pod, pids_max=100) == expected


def test_huge_pages_that_are_not_asked_for_are_not_given() -> None:
    container = one({"hugepages-2Mi": "4Mi"}, {"hugepages-2Mi": "4Mi", "cpu": "1"})
    assert container_limits(spec(container), container, ("2MB", "1GB")).huge_pages == {"2MB": 4 * MIB, "1GB": 0}
    assert group_limits(spec(container), 0, ("2MB", "64KB")).huge_pages == {"2MB": 4 * MIB, "64KB": 0}


def test_burstable_pods_share_what_they_request_together() -> None:
    assert burstable_shares([]) == 2
    assert burstable_shares([spec(one({"cpu": "1"})), spec(one({"cpu": "500m"}), one())]) == 1536


@pytest.mark.parametrize(("cpu_shares", "weight"), [(2, 1), (1024, 39), (262_144, 10_000), (512, 20), (102, 4)])
def test_shares_as_weight(cpu_shares: int, weight: int) -> None:
    assert values.weight(cpu_shares) == weight


@pytest.mark.parametrize(("size", "name"), [(2 * MIB, "2MB"), (GIB, "1GB"), (64 * 1024, "64KB")])
def test_page_sizes_as_the_kernel_writes_them(size: int, name: str) -> None:
    assert values.page_size(size) == name


def score(pod: dict[str, Any], container: dict[str, Any]) -> int:
    return oom_score_adjustment({"spec": pod}, container, 4 * GIB)


def test_who_is_killed_first() -> None:
    best, burst = one(), one({"memory": "1Gi"})
    sure = one({"cpu": "1", "memory": "1Gi"}, {"cpu": "1", "memory": "1Gi"})
    assert score(spec(best), best) == 1000
    assert score(spec(burst), burst) == 750
    assert score(spec(sure), sure) == -997
    assert score(spec(best, priority=2_000_001_000), best) == -997
    assert score(spec(best, burst), best) == 999
    huge = one({"memory": "8Gi"})
    assert score(spec(huge), huge) == 3


def test_a_sidecar_is_spared_as_long_as_the_container_that_requests_least() -> None:
    sidecar = one({"memory": "1Mi"}, restartPolicy="Always")
    pod = spec(one({"memory": "2Gi"}), one({"memory": "1Gi"}), initContainers=[sidecar])
    assert score(pod, sidecar) == 750


def test_what_a_pod_requests_beyond_its_containers_counts_for_each() -> None:
    first, second = one({"memory": "1Gi"}), one()
    pod = spec(first, second, resources={"requests": {"memory": "3Gi"}})
    assert score(pod, first) == 500
    assert score(pod, second) == 750
