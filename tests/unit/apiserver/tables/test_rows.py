"""What each kind shows, as a person reads it."""

from __future__ import annotations

from typing import Any

import pytest

from picluster.api import meta
from picluster.api.resources import (
    CONFIGMAPS,
    CORE_EVENTS,
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    ENDPOINTS,
    EVENTS,
    LEASES,
    NAMESPACES,
    NODES,
    PODS,
    REPLICASETS,
    RESOURCES,
    ROLES,
    SECRETS,
    SERVICE_ACCOUNTS,
    SERVICES,
    Resource,
)
from picluster.apiserver import tables
from picluster.apiserver.tables.columns import DEFAULT

CREATED = "2026-01-01T00:00:00Z"
NOW_S = meta.parse_time(CREATED) + 90
METADATA = {"name": "web", "namespace": "default", "creationTimestamp": CREATED}
TEMPLATE = {"spec": {"containers": [{"name": "a", "image": "web:1"}, {"name": "b", "image": "log:2"}]}}
SELECTOR = {"matchLabels": {"app": "web"}}


def cells(resource: Resource, **body: Any) -> list[Any]:
    table = tables.render(resource, [{"metadata": METADATA, **body}], {}, NOW_S)
    row: list[Any] = table["rows"][0]["cells"]
    assert len(row) == len(table["columnDefinitions"])
    return row


@pytest.mark.parametrize(
    ("resource", "body", "expected"),
    [
        (
            DEPLOYMENTS,
            {
                "spec": {"replicas": 3, "selector": SELECTOR, "template": TEMPLATE},
                "status": {"readyReplicas": 2, "updatedReplicas": 3, "availableReplicas": 1},
            },
            ["web", "2/3", 3, 1, "90s", "a,b", "web:1,log:2", "app=web"],
        ),
        (
            REPLICASETS,
            {"spec": {"replicas": 3, "selector": SELECTOR, "template": TEMPLATE}, "status": {"replicas": 2}},
            ["web", 3, 2, 0, "90s", "a,b", "web:1,log:2", "app=web"],
        ),
        (
            SERVICES,
            {
                "spec": {
                    "type": "NodePort",
                    "clusterIP": "10.43.0.5",
                    "ports": [{"port": 80, "nodePort": 30080}, {"port": 53, "protocol": "UDP"}],
                    "selector": {"app": "web"},
                }
            },
            ["web", "NodePort", "10.43.0.5", "<none>", "80:30080/TCP,53/UDP", "90s", "app=web"],
        ),
        (
            SERVICES,
            {"spec": {"type": "LoadBalancer", "clusterIP": "10.43.0.5"}},
            ["web", "LoadBalancer", "10.43.0.5", "<pending>", "<none>", "90s", "<none>"],
        ),
        (
            SERVICES,
            {"spec": {"type": "ExternalName", "externalName": "example.org"}},
            ["web", "ExternalName", "<none>", "example.org", "<none>", "90s", "<none>"],
        ),
        (
            ENDPOINTS,
            {"subsets": [{"addresses": [{"ip": f"10.42.0.{i}"} for i in range(4)], "ports": [{"port": 80}]}]},
            ["web", "10.42.0.0:80,10.42.0.1:80,10.42.0.2:80 + 1 more...", "90s"],
        ),
        (
            ENDPOINT_SLICES,
            {"addressType": "IPv4", "ports": [{"port": 80}], "endpoints": [{"addresses": ["10.42.0.1"]}]},
            ["web", "IPv4", "80", "10.42.0.1", "90s"],
        ),
        (
            NODES,
            {
                "spec": {"unschedulable": True},
                "status": {
                    "conditions": [{"type": "Ready", "status": "Unknown"}],
                    "addresses": [{"type": "InternalIP", "address": "10.77.0.11"}],
                    "nodeInfo": {"kubeletVersion": "v1.36.0", "osImage": "Debian", "kernelVersion": "6.1"},
                },
            },
            [
                "web", "NotReady,SchedulingDisabled", "<none>", "90s", "v1.36.0", "10.77.0.11", "<none>", "Debian",
                "6.1", "<unknown>",
            ],
        ),
        (NAMESPACES, {"status": {"phase": "Active"}}, ["web", "Active", "90s"]),
        (CONFIGMAPS, {"data": {"a": "1"}, "binaryData": {"b": "Yg=="}}, ["web", 2, "90s"]),
        (SECRETS, {"type": "Opaque", "data": {"password": "c2VjcmV0"}}, ["web", "Opaque", 1, "90s"]),
        (SERVICE_ACCOUNTS, {}, ["web", 0, "90s"]),
        (LEASES, {"spec": {"holderIdentity": "pi-1"}}, ["web", "pi-1", "90s"]),
        (
            CORE_EVENTS,
            {
                "involvedObject": {"kind": "Pod", "name": "web-1", "fieldPath": "spec.containers{a}"},
                "type": "Warning", "reason": "BackOff", "message": "Back-off\n", "count": 4,
                "firstTimestamp": CREATED, "lastTimestamp": "2026-01-01T00:01:00Z",
                "source": {"component": "kubelet", "host": "pi-1"},
            },
            [
                "30s", "Warning", "BackOff", "pod/web-1", "spec.containers{a}", "kubelet, pi-1", "Back-off", "90s", 4,
                "web",
            ],
        ),
        (
            EVENTS,
            {
                "regarding": {"kind": "Node", "name": "pi-1"}, "type": "Normal", "reason": "NodeReady", "note": "up",
                "eventTime": CREATED, "reportingController": "nodes", "series": None,
            },
            ["90s", "Normal", "NodeReady", "node/pi-1", "", "nodes", "up", "90s", 1, "web"],
        ),
    ],
    ids=lambda value: value.id if isinstance(value, Resource) else "",
)  # fmt: skip
def test_row(resource: Resource, body: dict[str, Any], expected: list[Any]) -> None:
    assert cells(resource, **body) == expected


def test_node_roles() -> None:
    labels = {"node-role.kubernetes.io/control-plane": "", "kubernetes.io/role": "edge"}
    table = tables.render(NODES, [{"metadata": {"name": "pi-0", "labels": labels}}], {}, NOW_S)
    assert table["rows"][0]["cells"][2] == "control-plane,edge"


def pod(phase: str, containers: list[dict[str, Any]], **extra: Any) -> list[Any]:
    spec = {"containers": [{"name": "a"}, {"name": "b"}], "nodeName": "pi-1", **extra.pop("spec", {})}
    metadata = {**METADATA, **extra.pop("metadata", {})}
    status = {"phase": phase, "containerStatuses": containers, "podIPs": [{"ip": "10.42.1.2"}], **extra}
    table = tables.render(PODS, [{"metadata": metadata, "spec": spec, "status": status}], {}, NOW_S)
    row: list[Any] = table["rows"][0]["cells"]
    return row


RUNNING = {"name": "a", "ready": True, "restartCount": 0, "state": {"running": {}}}
CRASHED = {
    "name": "b", "ready": False, "restartCount": 3, "state": {"waiting": {"reason": "CrashLoopBackOff"}},
    "lastState": {"terminated": {"exitCode": 1, "finishedAt": "2026-01-01T00:01:00Z"}},
}  # fmt: skip


def ended(code: int, reason: str = "") -> dict[str, Any]:
    terminated = {"exitCode": code, **({"reason": reason} if reason else {})}
    return {"name": "a", "ready": False, "state": {"terminated": terminated}}


def test_a_pod_in_full() -> None:
    assert pod("Running", [RUNNING, {**RUNNING, "name": "b"}]) == [
        "web", "2/2", "Running", "0", "90s", "10.42.1.2", "pi-1", "<none>", "<none>",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("row", "ready", "status", "restarts"),
    [
        (pod("Running", [RUNNING, CRASHED]), "1/2", "CrashLoopBackOff", "3 (30s ago)"),
        (pod("Pending", []), "0/2", "Pending", "0"),
        (pod("Succeeded", [ended(0, "Completed")]), "0/2", "Completed", "0"),
        (pod("Failed", [ended(3)]), "0/2", "ExitCode:3", "0"),
        (pod("Running", [RUNNING], metadata={"deletionTimestamp": CREATED}), "1/2", "Terminating", "0"),
        (pod("Failed", [], reason="Evicted"), "0/2", "Evicted", "0"),
        (pod("Pending", [], conditions=[{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]),
         "0/2", "SchedulingGated", "0"),
        (pod("Pending", [], spec={"initContainers": [{"name": "i"}]},
             initContainerStatuses=[{"name": "i", "state": {"running": {}}}]), "0/2", "Init:0/1", "0"),
        (pod("Pending", [], spec={"initContainers": [{"name": "i"}]},
             initContainerStatuses=[{"name": "i", "state": {"terminated": {"exitCode": 1, "reason": "Error"}}}]),
         "0/2", "Init:Error", "0"),
    ],
    ids=["crash loop", "pending", "completed", "failed", "terminating", "evicted", "gated", "init", "init failed"],
)  # fmt: skip
def test_pod_status(row: list[Any], ready: str, status: str, restarts: str) -> None:
    assert row[1:4] == [ready, status, restarts]


def test_a_finished_pods_row_says_completed() -> None:
    body = {"metadata": METADATA, "spec": {"containers": [{}]}, "status": {"phase": "Succeeded"}}
    table = tables.render(PODS, [body], {}, NOW_S)
    assert table["rows"][0]["conditions"][0]["reason"] == "Succeeded"


def test_objects_come_as_metadata_whole_or_not_at_all() -> None:
    body = {"metadata": METADATA, "data": {"a": "b"}}
    none, metadata, whole = (tables.render(CONFIGMAPS, [body], {}, NOW_S, inc) for inc in tables.INCLUDE_OBJECT)
    assert "object" not in none["rows"][0]
    assert metadata["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    assert "data" not in metadata["rows"][0]["object"]
    assert whole["rows"][0]["object"] is body


SHOWN_BY_DEFAULT = {"limitranges", "clusterroles.rbac.authorization.k8s.io", "roles.rbac.authorization.k8s.io",
                    "customresourcedefinitions.apiextensions.k8s.io"}  # fmt: skip
"""Kinds that Kubernetes has no printer for."""


def test_every_kind_of_the_table_has_columns_of_its_own() -> None:
    shown = {r.id for r in RESOURCES if "list" in r.verbs and tables.printer(r) is DEFAULT}
    assert shown == SHOWN_BY_DEFAULT


def test_what_has_no_printer_says_when_it_was_made() -> None:
    assert cells(ROLES) == ["web", CREATED]
    assert cells(Resource("example.com", "v1", "Thing", "things", "")) == ["web", "90s"]
