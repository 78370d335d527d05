"""What workloads, limits, budgets, volumes, claims and devices show."""

from __future__ import annotations

from typing import Any

import pytest

from picluster.api import conversion, meta
from picluster.api.resources import (
    COMPONENT_STATUSES,
    CONTROLLER_REVISIONS,
    CRONJOBS,
    DAEMONSETS,
    DEVICE_CLASSES,
    HORIZONTAL_POD_AUTOSCALERS,
    HORIZONTAL_POD_AUTOSCALERS_V1,
    JOBS,
    LIMIT_RANGES,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    POD_DISRUPTION_BUDGETS,
    POD_TEMPLATES,
    PRIORITY_CLASSES,
    REPLICATION_CONTROLLERS,
    RESOURCE_CLAIM_TEMPLATES,
    RESOURCE_CLAIMS,
    RESOURCE_QUOTAS,
    RESOURCE_SLICES,
    RUNTIME_CLASSES,
    STATEFULSETS,
    Resource,
)
from picluster.apiserver import tables

CREATED = "2026-01-01T00:00:00Z"
LATER = "2026-01-01T00:00:30Z"
NOW_S = meta.parse_time(CREATED) + 90
TEMPLATE: Any = {
    "metadata": {"labels": {"app": "web"}},
    "spec": {"containers": [{"name": "c", "image": "i"}, {"name": "d", "image": "j"}], "nodeSelector": {"a": "b"}},
}
SELECTED: Any = {"selector": {"matchLabels": {"app": "web"}}, "template": TEMPLATE}


def cells(resource: Resource, body: Any, **metadata: Any) -> list[Any]:
    named = {"name": "web", "creationTimestamp": CREATED, **metadata}
    table = tables.render(resource, [{"metadata": named, **body}], {}, NOW_S)
    (row,) = table["rows"]
    assert len(row["cells"]) == len(table["columnDefinitions"])
    found: list[Any] = row["cells"]
    return found


def condition(kind: str, status: str = "True") -> Any:
    return {"conditions": [{"type": kind, "status": status}]}


@pytest.mark.parametrize(
    ("resource", "body", "expected"),
    [
        (REPLICATION_CONTROLLERS,
         {"spec": {"replicas": 3, "selector": {"app": "web"}, "template": TEMPLATE},
          "status": {"replicas": 2, "readyReplicas": 1}},
         ["web", 3, 2, 1, "90s", "c,d", "i,j", "app=web"]),
        (POD_TEMPLATES, {"template": TEMPLATE}, ["web", "c,d", "i,j", "app=web"]),
        (LIMIT_RANGES, {}, ["web", CREATED]),
        (STATEFULSETS, {"spec": {**SELECTED, "replicas": 3}, "status": {"readyReplicas": 1}},
         ["web", "1/3", "90s", "c,d", "i,j"]),
        (DAEMONSETS, {"spec": SELECTED, "status": {"desiredNumberScheduled": 5, "currentNumberScheduled": 4,
                                                   "numberReady": 3, "updatedNumberScheduled": 2,
                                                   "numberAvailable": 1}},
         ["web", 5, 4, 3, 2, 1, "a=b", "90s", "c,d", "i,j", "app=web"]),
        (RESOURCE_QUOTAS, {"status": {"hard": {"pods": "5", "limits.cpu": "2", "cpu": "1"}, "used": {"pods": "1"}}},
         ["web", "cpu: 0/1, pods: 1/5", "limits.cpu: 0/2", "90s"]),
        (PRIORITY_CLASSES, {"value": 7, "globalDefault": True, "preemptionPolicy": "Never"},
         ["web", 7, True, "90s", "Never"]),
        (RUNTIME_CLASSES, {"handler": "runc"}, ["web", "runc", "90s"]),
        (POD_DISRUPTION_BUDGETS, {"spec": {"minAvailable": "50%"}, "status": {"disruptionsAllowed": 1}},
         ["web", "50%", "N/A", 1, "90s"]),
        (PERSISTENT_VOLUMES,
         {"spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteMany", "ReadWriteOnce"],
                   "persistentVolumeReclaimPolicy": "Retain", "claimRef": {"namespace": "default", "name": "data"},
                   "storageClassName": "fast", "volumeMode": "Filesystem"}, "status": {"phase": "Bound"}},
         ["web", "1Gi", "RWO,RWX", "Retain", "Bound", "default/data", "fast", "<unset>", "", "90s", "Filesystem"]),
        (PERSISTENT_VOLUME_CLAIMS,
         {"spec": {"volumeName": "pv", "storageClassName": "fast", "volumeMode": "Block"},
          "status": {"phase": "Bound", "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOncePod"]}},
         ["web", "Bound", "pv", "1Gi", "RWOP", "fast", "<unset>", "90s", "Block"]),
        (PERSISTENT_VOLUME_CLAIMS, {"spec": {}, "status": {"phase": "Pending"}},
         ["web", "Pending", "", "", "", "", "<unset>", "90s", "<unset>"]),
        (COMPONENT_STATUSES, {"conditions": [{"type": "Healthy", "status": "False", "error": "x"}]},
         ["web", "Unhealthy", "", "x"]),
        (COMPONENT_STATUSES, {}, ["web", "Unknown", "", ""]),
        (DEVICE_CLASSES, {}, ["web", "90s"]),
        (RESOURCE_CLAIM_TEMPLATES, {}, ["web", "90s"]),
        (RESOURCE_CLAIMS, {}, ["web", "pending", "90s"]),
        (RESOURCE_CLAIMS, {"status": {"allocation": {}, "reservedFor": [{}]}}, ["web", "allocated,reserved", "90s"]),
        (RESOURCE_SLICES, {"spec": {"driver": "d", "pool": {"name": "p"}, "nodeName": "pi-1"}},
         ["web", "pi-1", "d", "p", "90s"]),
        (CRONJOBS, {"spec": {"schedule": "@daily", "suspend": False, "jobTemplate": {"spec": {"template": TEMPLATE}}},
                    "status": {"active": [{}], "lastScheduleTime": LATER}},
         ["web", "@daily", "<none>", "False", 1, "60s", "90s", "c,d", "i,j", "<none>"]),
    ],
    ids=lambda value: value.id if isinstance(value, Resource) else "",
)  # fmt: skip
def test_rows(resource: Resource, body: Any, expected: list[Any]) -> None:
    assert cells(resource, body) == expected


@pytest.mark.parametrize(
    ("owner", "shown"),
    [
        (None, "<none>"),
        ({"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web", "controller": True}, "statefulset.apps/web"),
    ],
)
def test_whose_a_revision_is(owner: Any, shown: str) -> None:
    row = cells(CONTROLLER_REVISIONS, {"revision": 4}, ownerReferences=[owner] if owner else [])
    assert row == ["web", shown, 4, "90s"]


@pytest.mark.parametrize(
    ("spec", "status", "expected"),
    [
        ({"completions": 3}, {"succeeded": 1, "startTime": LATER}, ["Running", "1/3", "60s"]),
        ({"parallelism": 2}, {}, ["Running", "0/1 of 2", ""]),
        ({"parallelism": 1}, condition("Suspended"), ["Suspended", "0/1", ""]),
        ({"completions": 1}, {**condition("Complete"), "succeeded": 1, "startTime": CREATED, "completionTime": LATER},
         ["Complete", "1/1", "30s"]),
        ({"completions": 1}, condition("Failed"), ["Failed", "0/1", ""]),
        ({"completions": 1}, condition("Failed", "False"), ["Running", "0/1", ""]),
    ],
)  # fmt: skip
def test_jobs(spec: Any, status: Any, expected: list[str]) -> None:
    row = cells(JOBS, {"spec": {**SELECTED, **spec}, "status": status})
    assert row[1:4] == expected and row[5:] == ["c,d", "i,j", "app=web"]


def test_what_is_on_its_way_out() -> None:
    assert cells(PERSISTENT_VOLUME_CLAIMS, {"spec": {}, "status": {}}, deletionTimestamp=CREATED)[1] == "Terminating"
    assert cells(JOBS, {"spec": SELECTED}, deletionTimestamp=CREATED)[1] == "Terminating"
    assert cells(RESOURCE_CLAIMS, {}, deletionTimestamp=CREATED)[1] == "deleted,pending"


CPU: Any = {"type": "Resource", "resource": {"name": "cpu", "target": {"averageUtilization": 80}}}
CPU_NOW: Any = {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 12}}}
PODS: Any = {"type": "Pods", "pods": {"metric": {"name": "m"}, "target": {"averageValue": "5"}}}
QUEUE: Any = {"type": "External", "external": {"metric": {"name": "q"}, "target": {"averageValue": "7"}}}
HITS: Any = {"type": "Object", "object": {"metric": {"name": "h"}, "target": {"value": "9"}}}


@pytest.mark.parametrize(
    ("metrics", "current", "shown"),
    [
        ([], [], "<none>"),
        ([CPU], [], "cpu: <unknown>/80%"),
        ([CPU], [CPU_NOW], "cpu: 12%/80%"),
        ([PODS, QUEUE], [], "<unknown>/5, <unknown>/7 (avg)"),
        ([HITS, CPU, PODS], [], "<unknown>/9, cpu: <unknown>/80% + 1 more..."),
        ([{"type": "Odd"}], [], "<unknown type>"),
    ],
)
def test_targets_of_autoscalers(metrics: Any, current: Any, shown: str) -> None:
    spec = {"scaleTargetRef": {"kind": "Deployment", "name": "web"}, "maxReplicas": 3, "metrics": metrics}
    status = {"currentReplicas": 2, "currentMetrics": current}
    row = cells(HORIZONTAL_POD_AUTOSCALERS, {"spec": spec, "status": status})
    assert row == ["web", "Deployment/web", shown, "<unset>", 3, 2, "90s"]


def test_an_autoscaler_looks_the_same_in_both_versions() -> None:
    metadata = {"name": "web", "creationTimestamp": CREATED}
    spec = {"scaleTargetRef": {"kind": "Deployment", "name": "web"}, "maxReplicas": 3, "metrics": [CPU]}
    stored = {"metadata": metadata, "spec": spec, "status": {"currentMetrics": [CPU_NOW], "currentReplicas": 1}}
    old = conversion.from_stored(HORIZONTAL_POD_AUTOSCALERS_V1, stored)
    body = {field: value for field, value in old.items() if field != "metadata"}
    shown = cells(HORIZONTAL_POD_AUTOSCALERS_V1, body, annotations=old["metadata"]["annotations"])
    assert shown == cells(HORIZONTAL_POD_AUTOSCALERS, {"spec": spec, "status": stored["status"]})
