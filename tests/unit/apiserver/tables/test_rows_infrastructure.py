"""What kinds of networking, storage, access, admission and flow control show."""

from __future__ import annotations

from typing import Any

import pytest

from picluster.api import meta
from picluster.api.resources import (
    API_SERVICES,
    CERTIFICATE_SIGNING_REQUESTS,
    CLUSTER_ROLE_BINDINGS,
    CSI_DRIVERS,
    CSI_NODES,
    CSI_STORAGE_CAPACITIES,
    FLOW_SCHEMAS,
    INGRESS_CLASSES,
    INGRESSES,
    IP_ADDRESSES,
    MUTATING_ADMISSION_POLICIES,
    MUTATING_ADMISSION_POLICY_BINDINGS,
    MUTATING_WEBHOOK_CONFIGURATIONS,
    NETWORK_POLICIES,
    PRIORITY_LEVEL_CONFIGURATIONS,
    ROLE_BINDINGS,
    SERVICE_CIDRS,
    STORAGE_CLASSES,
    VALIDATING_ADMISSION_POLICIES,
    VALIDATING_ADMISSION_POLICY_BINDINGS,
    VALIDATING_WEBHOOK_CONFIGURATIONS,
    VOLUME_ATTACHMENTS,
    VOLUME_ATTRIBUTES_CLASSES,
    Resource,
)
from picluster.apiserver import tables

CREATED = "2026-01-01T00:00:00Z"
NOW_S = meta.parse_time(CREATED) + 90
METADATA = {"name": "a", "creationTimestamp": CREATED}
DEFAULT_CLASS = {**METADATA, "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}
HOSTS = [{"host": f"{number}.example.com"} for number in range(5)]
SUBJECTS = [
    {"kind": "User", "name": "ann"}, {"kind": "User", "name": "bob"}, {"kind": "Group", "name": "ops"},
    {"kind": "ServiceAccount", "name": "default", "namespace": "web"},
]  # fmt: skip


@pytest.mark.parametrize(
    ("resource", "body", "expected"),
    [
        (INGRESSES, {"spec": {"rules": HOSTS, "ingressClassName": "nginx", "tls": [{}]},
                     "status": {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}, {"hostname": "b"}, {}]}}},
         ["a", "nginx", "0.example.com,1.example.com,2.example.com + 2 more...", "10.0.0.1,b", "80, 443", "90s"]),
        (INGRESSES, {"spec": {"rules": [{}]}}, ["a", "<none>", "*", "", "80", "90s"]),
        (INGRESS_CLASSES, {"spec": {"controller": "example.com/x"}}, ["a", "example.com/x", "<none>", "90s"]),
        (INGRESS_CLASSES, {"spec": {"controller": "c/x", "parameters": {"apiGroup": "g", "kind": "K", "name": "n"}}},
         ["a", "c/x", "K.g/n", "90s"]),
        (NETWORK_POLICIES, {"spec": {"podSelector": {"matchLabels": {"a": "b"}}}}, ["a", "a=b", "90s"]),
        (NETWORK_POLICIES, {"spec": {"podSelector": {}}}, ["a", "<none>", "90s"]),
        (IP_ADDRESSES, {"spec": {"parentRef": {"resource": "services", "namespace": "default", "name": "web"}}},
         ["a", "services/default/web", "90s"]),
        (IP_ADDRESSES, {"spec": {"parentRef": {"group": "g", "resource": "r", "name": "n"}}}, ["a", "g/r/n", "90s"]),
        (SERVICE_CIDRS, {"spec": {"cidrs": ["10.0.0.0/24", "2001:db8::/64"]}},
         ["a", "10.0.0.0/24,2001:db8::/64", "90s"]),
        (STORAGE_CLASSES, {"provisioner": "p", "volumeBindingMode": "Immediate", "metadata": DEFAULT_CLASS},
         ["a (default)", "p", "Delete", "Immediate", False, "90s"]),
        (VOLUME_ATTRIBUTES_CLASSES, {"driverName": "d"}, ["a", "d", "90s"]),
        (VOLUME_ATTACHMENTS, {"spec": {"attacher": "x", "source": {"persistentVolumeName": "pv"}, "nodeName": "n"},
                              "status": {"attached": True}}, ["a", "x", "pv", "n", True, "90s"]),
        (CSI_DRIVERS, {"spec": {"attachRequired": False, "volumeLifecycleModes": ["Persistent", "Ephemeral"]}},
         ["a", False, False, False, "<unset>", False, "Persistent,Ephemeral", "90s"]),
        (CSI_NODES, {"spec": {"drivers": [{}, {}]}}, ["a", 2, "90s"]),
        (CSI_STORAGE_CAPACITIES, {"storageClassName": "s", "capacity": "1Gi"}, ["a", "s", "1Gi"]),
        (CERTIFICATE_SIGNING_REQUESTS, {"spec": {"signerName": "e.com/s", "username": "me", "expirationSeconds": 3600}},
         ["a", "90s", "e.com/s", "me", "60m", "Pending"]),
        (CERTIFICATE_SIGNING_REQUESTS,
         {"spec": {"signerName": "e.com/s"}, "status": {"certificate": "eA==", "conditions": [{"type": "Approved"}]}},
         ["a", "90s", "e.com/s", "", "<none>", "Approved,Issued"]),
        (CERTIFICATE_SIGNING_REQUESTS, {"status": {"conditions": [{"type": "Denied"}, {"type": "Failed"}]}},
         ["a", "90s", "<none>", "", "<none>", "Denied,Failed"]),
        (FLOW_SCHEMAS, {"spec": {"priorityLevelConfiguration": {"name": "p"}, "matchingPrecedence": 5},
                        "status": {"conditions": [{"type": "Dangling", "status": "False"}]}},
         ["a", "p", 5, "<none>", "90s", "False"]),
        (PRIORITY_LEVEL_CONFIGURATIONS,
         {"spec": {"type": "Limited", "limited": {
             "nominalConcurrencyShares": 30,
             "limitResponse": {"queuing": {"queues": 64, "handSize": 8, "queueLengthLimit": 50}}}}},
         ["a", "Limited", 30, 64, 8, 50, "90s"]),
        (PRIORITY_LEVEL_CONFIGURATIONS, {"spec": {"type": "Exempt"}},
         ["a", "Exempt", "<none>", "<none>", "<none>", "<none>", "90s"]),
        (ROLE_BINDINGS, {"roleRef": {"kind": "Role", "name": "r"}, "subjects": SUBJECTS},
         ["a", "Role/r", "90s", "ann, bob", "ops", "web/default"]),
        (CLUSTER_ROLE_BINDINGS, {"roleRef": {"kind": "ClusterRole", "name": "r"}},
         ["a", "ClusterRole/r", "90s", "", "", ""]),
        (MUTATING_WEBHOOK_CONFIGURATIONS, {"webhooks": [{}]}, ["a", 1, "90s"]),
        (VALIDATING_WEBHOOK_CONFIGURATIONS, {}, ["a", 0, "90s"]),
        (VALIDATING_ADMISSION_POLICIES, {"spec": {"validations": [{}], "paramKind": {"apiVersion": "v1", "kind": "C"}}},
         ["a", 1, "v1/C", "90s"]),
        (MUTATING_ADMISSION_POLICIES, {"spec": {"mutations": [{}, {}]}}, ["a", 2, "<unset>", "90s"]),
        (VALIDATING_ADMISSION_POLICY_BINDINGS, {"spec": {"policyName": "p"}}, ["a", "p", "<unset>", "90s"]),
        (MUTATING_ADMISSION_POLICY_BINDINGS, {"spec": {"policyName": "p", "paramRef": {"namespace": "n", "name": "x"}}},
         ["a", "p", "n/x", "90s"]),
        (API_SERVICES, {"spec": {}, "status": {"conditions": [{"type": "Available", "status": "True"}]}},
         ["a", "Local", "True", "90s"]),
        (API_SERVICES, {"spec": {"service": {"namespace": "n", "name": "s"}},
                        "status": {"conditions": [{"type": "Available", "status": "False", "reason": "Missing"}]}},
         ["a", "n/s", "False (Missing)", "90s"]),
    ],
    ids=lambda value: value.id if isinstance(value, Resource) else "",
)  # fmt: skip
def test_row(resource: Resource, body: dict[str, Any], expected: list[Any]) -> None:
    table = tables.render(resource, [{"metadata": METADATA, **body}], {}, NOW_S)
    row = table["rows"][0]["cells"]
    assert row == expected
    assert len(row) == len(table["columnDefinitions"])
