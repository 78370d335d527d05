"""What objects use, and which quotas count them."""

from __future__ import annotations

from typing import Any

import pytest

from picluster.api import quota
from picluster.api.quantity import nanos
from picluster.api.resources import (
    CONFIGMAPS,
    DEPLOYMENTS,
    PERSISTENT_VOLUME_CLAIMS,
    PODS,
    RESOURCE_CLAIMS,
    SERVICES,
    Resource,
)

NOW_S = 1_000_000.0


def pod(spec: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a"}], **(spec or {})}, **more}


def resources(requests: dict[str, str], limits: dict[str, str] | None = None) -> dict[str, Any]:
    return {"containers": [{"name": "a", "resources": {"requests": requests, "limits": limits or {}}}]}


@pytest.mark.parametrize(("resource", "obj", "expected"), [
    (PODS, pod(), {"count/pods": 1, "pods": 1}),
    (
        PODS,
        pod(resources({"cpu": "500m", "memory": "1Gi", "example.com/gpu": "2"}, {"cpu": "1", "memory": "2Gi"})),
        {
            "count/pods": 1, "pods": 1, "cpu": "500m", "requests.cpu": "500m", "limits.cpu": 1, "memory": "1Gi",
            "requests.memory": "1Gi", "limits.memory": "2Gi", "requests.example.com/gpu": 2,
        },
    ),
    (PODS, pod(status={"phase": "Succeeded"}), {"count/pods": 1}),
    (CONFIGMAPS, {"metadata": {}}, {"count/configmaps": 1, "configmaps": 1}),
    (DEPLOYMENTS, {"metadata": {}}, {"count/deployments.apps": 1}),
    (
        SERVICES,
        {"metadata": {}, "spec": {"type": "LoadBalancer", "ports": [{}, {}]}},
        {"count/services": 1, "services": 1, "services.loadbalancers": 1, "services.nodeports": 2},
    ),
    (
        SERVICES,
        {"metadata": {}, "spec": {"type": "ClusterIP", "ports": [{}]}},
        {"count/services": 1, "services": 1},
    ),
    (
        PERSISTENT_VOLUME_CLAIMS,
        {"metadata": {}, "spec": {"storageClassName": "fast", "resources": {"requests": {"storage": "3Gi"}}}},
        {
            "count/persistentvolumeclaims": 1, "persistentvolumeclaims": 1, "requests.storage": "3Gi",
            "fast.storageclass.storage.k8s.io/persistentvolumeclaims": 1,
            "fast.storageclass.storage.k8s.io/requests.storage": "3Gi",
        },
    ),
    (
        RESOURCE_CLAIMS,
        {"metadata": {}, "spec": {"devices": {"requests": [
            {"name": "a", "exactly": {"deviceClassName": "gpu", "allocationMode": "ExactCount", "count": 2}},
            {"name": "b", "exactly": {"deviceClassName": "nic", "allocationMode": "All"}},
            {"name": "c", "firstAvailable": [
                {"name": "x", "deviceClassName": "gpu", "allocationMode": "ExactCount", "count": 5},
                {"name": "y", "deviceClassName": "gpu", "allocationMode": "ExactCount", "count": 3},
            ]},
        ]}}},
        {
            "count/resourceclaims.resource.k8s.io": 1, "gpu.deviceclass.resource.k8s.io/devices": 7,
            "nic.deviceclass.resource.k8s.io/devices": 32,
        },
    ),
])  # fmt: skip
def test_usage(resource: Resource, obj: dict[str, Any], expected: dict[str, Any]) -> None:
    assert quota.usage(resource, obj, NOW_S) == {name: nanos(amount) for name, amount in expected.items()}


def test_a_pod_whose_time_is_over_uses_nothing_but_its_place() -> None:
    deleted = pod()
    deleted["metadata"] |= {"deletionTimestamp": "1970-01-01T00:00:10Z", "deletionGracePeriodSeconds": 5}
    assert quota.usage(PODS, deleted, 9.0)["pods"] == nanos("1")
    assert "pods" not in quota.usage(PODS, deleted, 11.0)


@pytest.mark.parametrize(("spec", "of_pod", "counted"), [
    ({}, {}, True),
    ({"scopes": ["Terminating"]}, {}, False),
    ({"scopes": ["Terminating"]}, {"activeDeadlineSeconds": 5}, True),
    ({"scopes": ["NotTerminating", "BestEffort"]}, {}, True),
    ({"scopes": ["NotBestEffort"]}, {}, False),
    ({"scopeSelector": {"matchExpressions": [
        {"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}]}}, {"priorityClassName": "high"}, True),
    ({"scopeSelector": {"matchExpressions": [
        {"scopeName": "PriorityClass", "operator": "NotIn", "values": ["high"]}]}},
     {"priorityClassName": "high"}, False),
    ({"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "Exists"}]}}, {}, False),
    ({"scopes": ["CrossNamespacePodAffinity"]}, {"affinity": {"podAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": [{"namespaces": ["x"]}]}}}, True),
])  # fmt: skip
def test_scopes(spec: dict[str, Any], of_pod: dict[str, Any], counted: bool) -> None:
    assert quota.selects(spec, PODS, pod(of_pod)) is counted


def test_what_must_be_said() -> None:
    two = pod({"containers": [{"name": "b"}, {"name": "a", "resources": {"requests": {"cpu": "1"}}}]})
    assert quota.missing(PODS, two, ("cpu", "limits.memory", "pods")) == "cpu for: b; limits.memory for: a,b"
    assert quota.missing(PODS, two, ("pods",)) == ""
    assert quota.missing(SERVICES, {}, ("cpu",)) == ""
