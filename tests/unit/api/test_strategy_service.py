"""A change of a Service's type drops what only the old type had, unless the client changed it."""

from __future__ import annotations

from typing import Any

import pytest

from picluster.api.strategy.service import update

PORTS = [{"port": 80, "nodePort": 30080}]
NODE_PORT = {"type": "NodePort", "ports": PORTS, "externalTrafficPolicy": "Cluster", "clusterIP": "10.43.0.9"}
LOCAL = {**NODE_PORT, "type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 31000,
         "allocateLoadBalancerNodePorts": True}  # fmt: skip


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
])  # fmt: skip
def test_update(old: dict[str, Any], change: dict[str, Any], expected: dict[str, Any]) -> None:
    new = {**old, "ports": [dict(port) for port in old["ports"]], **change}
    service = {"spec": new}
    update(service, {"spec": old})
    assert service["spec"] == expected
