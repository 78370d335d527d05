"""Defaulting of every kind."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picluster.api import defaults
from picluster.api.defaults.podspec import pull_policy
from picluster.api.resources import (
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    ENDPOINTS,
    NAMESPACES,
    NODES,
    PODS,
    REPLICASETS,
    RESOURCES,
    SECRETS,
    SERVICES,
    Resource,
)
from picluster.api.types import Object


def _applied(resource: Resource, obj: Object) -> Object:
    defaults.apply(resource, obj)
    return obj


def _minimal(**spec: Any) -> Object:
    return {"spec": {"containers": [{"name": "a", "image": "a:1"}], **spec}}


def _container(**fields: Any) -> Object:
    pod = _applied(PODS, {"spec": {"containers": [{"name": "a", "image": "a:1", **fields}]}})
    container: Object = pod["spec"]["containers"][0]
    return container


def _volume(**source: Any) -> Object:
    volume: Object = _applied(PODS, _minimal(volumes=[{"name": "v", **source}]))["spec"]["volumes"][0]
    volume.pop("name")
    return volume


def test_the_smallest_pod() -> None:
    assert _applied(PODS, _minimal())["spec"] == {
        "containers": [
            {
                "name": "a",
                "image": "a:1",
                "imagePullPolicy": "IfNotPresent",
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
                "resources": {},
            }
        ],
        "dnsPolicy": "ClusterFirst",
        "restartPolicy": "Always",
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "terminationGracePeriodSeconds": 30,
        "enableServiceLinks": True,
    }


def test_a_template_is_not_quite_a_pod() -> None:
    limits = {"cpu": "1"}
    template = {"spec": {"containers": [{"name": "a", "image": "a", "resources": {"limits": limits}}]}}
    spec = _applied(REPLICASETS, {"spec": {"template": template}})["spec"]
    assert spec["replicas"] == 1
    assert "enableServiceLinks" not in spec["template"]["spec"]
    assert spec["template"]["spec"]["containers"][0]["resources"] == {"limits": {"cpu": "1"}}
    assert spec["template"]["spec"]["dnsPolicy"] == "ClusterFirst"


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("nginx:1.27", "IfNotPresent"),
        ("host:5000/nginx", "Always"),
        ("host:5000/nginx:1", "IfNotPresent"),
        ("nginx@sha256:0123", "IfNotPresent"),
        ("nginx:latest@sha256:0123", "Always"),
        ("", "IfNotPresent"),
    ],
)
def test_the_pull_policy_follows_the_tag(image: str, policy: str) -> None:
    assert pull_policy(image) == policy


@pytest.mark.parametrize(
    ("given_resources", "expected"),
    [
        ({}, {}),
        ({"limits": {"cpu": "0.5"}}, {"limits": {"cpu": "500m"}, "requests": {"cpu": "500m"}}),
        (
            {"limits": {"cpu": 1, "memory": "1024Mi"}, "requests": {"cpu": "1n"}},
            {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1m", "memory": "1Gi"}},
        ),
        ({"requests": {"memory": "64Mi"}}, {"requests": {"memory": "64Mi"}}),
    ],
)
def test_requests_come_from_limits_in_canonical_form(given_resources: Object, expected: Object) -> None:
    assert _container(resources=given_resources)["resources"] == expected


def test_probes_and_hooks() -> None:
    container = _container(
        readinessProbe={"httpGet": {"port": 80}, "periodSeconds": 2},
        livenessProbe={"grpc": {"port": 80}, "timeoutSeconds": 0},
        lifecycle={"preStop": {"httpGet": {"port": 1, "path": "/stop"}}},
    )
    assert container["readinessProbe"] == {
        "httpGet": {"port": 80, "path": "/", "scheme": "HTTP"},
        "periodSeconds": 2,
        "timeoutSeconds": 1,
        "successThreshold": 1,
        "failureThreshold": 3,
    }
    assert container["livenessProbe"]["grpc"] == {"port": 80, "service": ""}
    assert container["livenessProbe"]["timeoutSeconds"] == 1
    assert container["lifecycle"]["preStop"]["httpGet"] == {"port": 1, "path": "/stop", "scheme": "HTTP"}


def test_ports_and_environment() -> None:
    container = _container(
        ports=[{"containerPort": 80}, {"containerPort": 53, "protocol": "UDP"}],
        env=[
            {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "B", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
        ],
    )
    assert [port["protocol"] for port in container["ports"]] == ["TCP", "UDP"]
    assert container["env"][0]["valueFrom"]["fieldRef"]["apiVersion"] == "v1"
    assert container["env"][1]["valueFrom"]["resourceFieldRef"]["divisor"] == "0"


def test_host_network_gives_host_ports_to_pods() -> None:
    pod = _minimal(hostNetwork=True)
    pod["spec"]["containers"][0]["ports"] = [{"containerPort": 80}]
    assert _applied(PODS, deepcopy(pod))["spec"]["containers"][0]["ports"][0]["hostPort"] == 80
    deployment = _applied(DEPLOYMENTS, {"spec": {"template": pod}})
    assert "hostPort" not in deployment["spec"]["template"]["spec"]["containers"][0]["ports"][0]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({}, {"emptyDir": {}}),
        ({"emptyDir": {"sizeLimit": "1024Mi"}}, {"emptyDir": {"sizeLimit": "1Gi"}}),
        ({"secret": {"secretName": "s"}}, {"secret": {"secretName": "s", "defaultMode": 0o644}}),
        ({"configMap": {"name": "c", "defaultMode": 0}}, {"configMap": {"name": "c", "defaultMode": 0}}),
        ({"hostPath": {"path": "/x"}}, {"hostPath": {"path": "/x", "type": ""}}),
        ({"image": {"reference": "a"}}, {"image": {"reference": "a", "pullPolicy": "Always"}}),
        (
            {"downwardAPI": {"items": [{"path": "a", "fieldRef": {"fieldPath": "metadata.name"}}]}},
            {
                "downwardAPI": {
                    "items": [{"path": "a", "fieldRef": {"fieldPath": "metadata.name", "apiVersion": "v1"}}],
                    "defaultMode": 0o644,
                }
            },
        ),
        (
            {"projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}},
            {
                "projected": {
                    "sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 3600}}],
                    "defaultMode": 0o644,
                }
            },
        ),
    ],
)
def test_volumes(source: Object, expected: Object) -> None:
    assert _volume(**source) == expected


@pytest.mark.parametrize("field", ["serviceAccount", "serviceAccountName"])
def test_both_names_of_the_service_account(field: str) -> None:
    spec = _applied(PODS, _minimal(**{field: "web"}))["spec"]
    assert spec["serviceAccount"] == spec["serviceAccountName"] == "web"


def test_pod_level_requests_follow_the_containers_then_the_limits() -> None:
    pod = _minimal(resources={"limits": {"cpu": "2", "memory": "1Gi"}})
    pod["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "500m"}}
    assert _applied(PODS, pod)["spec"]["resources"]["requests"] == {"cpu": "500m", "memory": "1Gi"}


@pytest.mark.parametrize(
    ("status", "address", "addresses"),
    [
        ({"podIP": "10.42.1.2"}, "10.42.1.2", ["10.42.1.2"]),
        ({"podIPs": [{"ip": "10.42.1.2"}, {"ip": "fd00::2"}]}, "10.42.1.2", ["10.42.1.2", "fd00::2"]),
        ({"podIP": "10.42.1.3", "podIPs": [{"ip": "10.42.1.2"}]}, "10.42.1.3", ["10.42.1.3"]),
    ],
)
def test_addresses_in_both_fields(status: Object, address: str, addresses: list[str]) -> None:
    filled = _applied(PODS, {**_minimal(), "status": status})["status"]
    assert filled["podIP"] == address
    assert [each["ip"] for each in filled["podIPs"]] == addresses


def test_deployments() -> None:
    spec = _applied(DEPLOYMENTS, {"spec": {}})["spec"]
    assert spec["replicas"] == 1
    assert spec["revisionHistoryLimit"] == 10
    assert spec["progressDeadlineSeconds"] == 600
    assert spec["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"},
    }
    recreate = _applied(DEPLOYMENTS, {"spec": {"replicas": 0, "strategy": {"type": "Recreate"}}})["spec"]
    assert recreate["strategy"] == {"type": "Recreate"}
    assert recreate["replicas"] == 0


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            {"ports": [{"port": 80}]},
            {
                "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}],
                "sessionAffinity": "None",
                "type": "ClusterIP",
                "internalTrafficPolicy": "Cluster",
            },
        ),
        (
            {"type": "NodePort", "ports": [{"port": 80, "targetPort": "http"}]},
            {
                "ports": [{"port": 80, "protocol": "TCP", "targetPort": "http"}],
                "sessionAffinity": "None",
                "type": "NodePort",
                "internalTrafficPolicy": "Cluster",
                "externalTrafficPolicy": "Cluster",
            },
        ),
        (
            {"type": "ExternalName", "externalName": "a.b", "sessionAffinityConfig": {}},
            {"type": "ExternalName", "externalName": "a.b", "sessionAffinity": "None"},
        ),
        (
            {"type": "LoadBalancer", "sessionAffinity": "ClientIP"},
            {
                "type": "LoadBalancer",
                "sessionAffinity": "ClientIP",
                "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 10800}},
                "internalTrafficPolicy": "Cluster",
                "externalTrafficPolicy": "Cluster",
                "allocateLoadBalancerNodePorts": True,
            },
        ),
    ],
)
def test_services(spec: Object, expected: Object) -> None:
    assert _applied(SERVICES, {"spec": spec})["spec"] == expected


@pytest.mark.parametrize(
    ("resource", "obj", "expected"),
    [
        (SECRETS, {}, {"type": "Opaque"}),
        (
            SECRETS,
            {"data": {"a": "YQ==", "b": "YQ=="}, "stringData": {"b": "ü"}},
            {"type": "Opaque", "data": {"a": "YQ==", "b": "w7w="}},
        ),
        (
            NAMESPACES,
            {"metadata": {"name": "web"}},
            {
                "metadata": {"name": "web", "labels": {"kubernetes.io/metadata.name": "web"}},
                "status": {"phase": "Active"},
            },
        ),
        (
            NODES,
            {"spec": {"podCIDR": "10.42.1.0/24"}},
            {"spec": {"podCIDR": "10.42.1.0/24", "podCIDRs": ["10.42.1.0/24"]}},
        ),
        (
            NODES,
            {"spec": {}, "status": {"capacity": {"memory": "1024Mi"}}},
            {"spec": {}, "status": {"capacity": {"memory": "1Gi"}, "allocatable": {"memory": "1Gi"}}},
        ),
        (
            ENDPOINTS,
            {"subsets": [{"ports": [{"port": 1}]}]},
            {"subsets": [{"ports": [{"port": 1, "protocol": "TCP"}]}]},
        ),
        (ENDPOINT_SLICES, {"ports": [{"port": 1}]}, {"ports": [{"port": 1, "name": "", "protocol": "TCP"}]}),
    ],
)
def test_other_kinds(resource: Resource, obj: Object, expected: Object) -> None:
    assert _applied(resource, obj) == expected


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.id)
def test_twice_is_once_for_any_object(resource: Resource, objects_of: Callable[[str], st.SearchStrategy[Any]]) -> None:
    @settings(max_examples=40, deadline=None)
    @given(objects_of(resource.schema))
    def check(obj: Object) -> None:
        defaults.apply(resource, obj)
        once = deepcopy(obj)
        defaults.apply(resource, obj)
        assert obj == once

    check()
