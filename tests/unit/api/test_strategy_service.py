"""A change of a Service's type drops what only the old type had, unless the client changed it."""

from __future__ import annotations

from typing import Any

import pytest

from picluster.api.strategy.service import inherit, normalize, update

PORTS = [{"port": 80, "nodePort": 30080}]
NODE_PORT = {"type": "NodePort", "ports": PORTS, "externalTrafficPolicy": "Cluster", "clusterIP": "10.43.0.9"}
LOCAL = {**NODE_PORT, "type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 31000,
         "allocateLoadBalancerNodePorts": True}  # fmt: skip

HEADFUL = {"type": "ClusterIP", "ports": [{"port": 80}], "clusterIP": "10.43.0.9", "clusterIPs": ["10.43.0.9"],
           "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack"}  # fmt: skip


@pytest.mark.parametrize(("old", "change", "expected"), [
    (NODE_PORT, {"type": "ClusterIP"}, {"type": "ClusterIP", "ports": [{"port": 80}], "clusterIP": "10.43.0.9"}),
    (
        NODE_PORT,
        {"type": "ClusterIP", "ports": [{"port": 80, "nodePort": 30081}]},
        {"type": "ClusterIP", "ports": [{"port": 80, "nodePort": 30081}], "clusterIP": "10.43.0.9"},
    ),
    (NODE_PORT, {"type": "ExternalName"}, {"type": "ExternalName", "ports": [{"port": 80}]}),
    (
        LOCAL,
        {"type": "NodePort"},
        {"type": "NodePort", "ports": PORTS, "externalTrafficPolicy": "Local", "clusterIP": "10.43.0.9"},
    ),
    (NODE_PORT, {"sessionAffinity": "None"}, {**NODE_PORT, "sessionAffinity": "None"}),
    (
        {**HEADFUL, "internalTrafficPolicy": "Cluster"},
        {"type": "ExternalName", "clusterIP": ""},
        {"type": "ExternalName", "ports": [{"port": 80}], "clusterIP": "", "internalTrafficPolicy": "Cluster"},
    ),
    (
        HEADFUL,
        {"type": "ExternalName", "ipFamilies": ["IPv6"]},
        {"type": "ExternalName", "ports": [{"port": 80}], "ipFamilies": ["IPv6"]},
    ),
])  # fmt: skip
def test_update(old: dict[str, Any], change: dict[str, Any], expected: dict[str, Any]) -> None:
    new = {**old, "ports": [dict(port) for port in old["ports"]], **change}
    service = {"spec": new}
    update(service, {"spec": old})
    assert service["spec"] == expected


def test_a_load_balancers_status_goes_with_its_type() -> None:
    status = {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}, "conditions": []}
    new = {"spec": {**LOCAL, "type": "ClusterIP"}, "status": status}
    update(new, {"spec": LOCAL, "status": status})
    assert new["status"] == {"loadBalancer": {}, "conditions": []}
    update(still := {"spec": dict(LOCAL), "status": status}, {"spec": LOCAL, "status": status})
    assert still["status"] == status


@pytest.mark.parametrize(
    ("new", "old", "expected"),
    [
        ({"clusterIP": "a"}, None, ["a"]),
        ({"clusterIP": "a", "clusterIPs": ["a", "b"]}, None, ["a", "b"]),
        ({"clusterIP": "b", "clusterIPs": ["a"]}, {"clusterIP": "a", "clusterIPs": ["a"]}, ["b"]),
        ({"clusterIP": "", "clusterIPs": ["a"]}, {"clusterIP": "a", "clusterIPs": ["a"]}, None),
        ({"clusterIP": "a"}, {"clusterIP": "a", "clusterIPs": ["a"]}, ["a"]),
        ({"clusterIP": "a", "clusterIPs": ["c"]}, {"clusterIP": "a", "clusterIPs": ["a"]}, ["c"]),
    ],
)
def test_both_address_fields_are_kept_alike(
    new: dict[str, Any], old: dict[str, Any] | None, expected: list[str] | None
) -> None:
    normalize(new, old)
    assert new.get("clusterIPs") == expected


def test_node_ports_are_inherited_by_name() -> None:
    old = {"type": "NodePort", "ports": [{"name": "a", "nodePort": 30001}, {"name": "b", "nodePort": 30002}],
           "clusterIP": "10.43.0.5", "clusterIPs": ["10.43.0.5"]}  # fmt: skip
    ports: list[dict[str, Any]] = [{"name": "a", "port": 81}, {"name": "c", "nodePort": 30002}, {"name": "b"}]
    new = {"type": "NodePort", "ports": ports}
    inherit(new, old)
    assert [port.get("nodePort") for port in ports] == [30001, 30002, None]
    assert new["clusterIP"] == "10.43.0.5"
