"""Which endpoints a node may send a Service's packets to."""

from __future__ import annotations

from typing import Any

import pytest

from picluster_agent.network.services import Endpoint, ServicePort, service_ports


def service(**spec: Any) -> dict[str, Any]:
    base = {
        "clusterIP": "10.43.0.5",
        "clusterIPs": ["10.43.0.5"],
        "type": "ClusterIP",
        "ports": [{"name": "http", "port": 80}],
    }
    return {"metadata": {"namespace": "default", "name": "web", "labels": {}}, "spec": {**base, **spec}}


def slice_of(*endpoints: dict[str, Any], port: int | None = 8080, name: str = "http") -> dict[str, Any]:
    return {
        "metadata": {"namespace": "default", "name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "ports": [{"name": name, "port": port, "protocol": "TCP"}],
        "endpoints": list(endpoints),
    }


def endpoint(ip: str, node: str = "pi-1", **conditions: bool) -> dict[str, Any]:
    return {"addresses": [ip], "nodeName": node, "conditions": conditions}


def only(services: list[dict[str, Any]], slices: list[dict[str, Any]]) -> ServicePort:
    (port,) = service_ports(services, slices, "pi-1")
    return port


def test_a_port_carries_addresses_protocol_and_ready_endpoints() -> None:
    port = only([service()], [slice_of(endpoint("10.42.1.2", ready=True), endpoint("10.42.2.2", "pi-2", ready=False))])
    assert (port.name, port.protocol, port.port) == ("default/web:http", "tcp", 80)
    assert port.addresses == ("10.43.0.5",)
    assert port.cluster_endpoints == (Endpoint("10.42.1.2", 8080, True),)


def test_an_endpoint_without_conditions_counts_as_ready() -> None:
    assert only([service()], [slice_of(endpoint("10.42.1.2"))]).cluster_endpoints != ()


@pytest.mark.parametrize(
    ("conditions", "used"),
    [
        ([{"ready": True}, {"ready": False, "serving": True, "terminating": True}], ["10.42.0.0"]),
        ([{"ready": False, "serving": True, "terminating": True}, {"ready": False, "serving": False}], ["10.42.0.0"]),
        ([{"ready": False, "serving": False}], []),
    ],
    ids=["ready wins", "serving while terminating is the last resort", "none"],
)
def test_terminating_endpoints(conditions: list[dict[str, bool]], used: list[str]) -> None:
    slices = [slice_of(*(endpoint(f"10.42.0.{i}", **entry) for i, entry in enumerate(conditions)))]
    assert [chosen.ip for chosen in only([service()], slices).cluster_endpoints] == used


def test_policy_local_keeps_only_this_nodes_endpoints() -> None:
    slices = [slice_of(endpoint("10.42.1.2", "pi-1"), endpoint("10.42.2.2", "pi-2"))]
    internal = only([service(internalTrafficPolicy="Local")], slices)
    assert [chosen.ip for chosen in internal.cluster_endpoints] == ["10.42.1.2"]
    external = only([service(externalTrafficPolicy="Local", type="NodePort")], slices)
    assert [chosen.ip for chosen in external.external_endpoints] == ["10.42.1.2"]
    assert len(external.cluster_endpoints) == 2


@pytest.mark.parametrize(
    "spec", [{"clusterIP": "None"}, {"clusterIP": ""}, {"type": "ExternalName"}, {"clusterIP": "fd00::1"}]
)
def test_services_without_an_ipv4_cluster_address_are_not_proxied(spec: dict[str, Any]) -> None:
    assert service_ports([service(**spec)], [slice_of(endpoint("10.42.1.2"))], "pi-1") == []


def test_another_proxys_service_is_left_alone() -> None:
    foreign = service()
    foreign["metadata"]["labels"]["service.kubernetes.io/service-proxy-name"] = "other"
    assert service_ports([foreign], [], "pi-1") == []


def test_ports_are_matched_by_name_and_slices_without_a_port_are_ignored() -> None:
    slices = [slice_of(endpoint("10.42.1.2"), name="metrics"), slice_of(endpoint("10.42.1.3"), port=None)]
    assert only([service()], slices).cluster_endpoints == ()


def test_external_and_load_balancer_addresses_are_served_too() -> None:
    exposed = service(externalIPs=["192.0.2.7"])
    exposed["status"] = {"loadBalancer": {"ingress": [{"ip": "192.0.2.8"}, {"hostname": "web.example"}]}}
    assert only([exposed], []).addresses == ("10.43.0.5", "192.0.2.7", "192.0.2.8")


def test_client_ip_affinity_has_kubernetes_default_timeout() -> None:
    assert only([service(sessionAffinity="ClientIP")], []).affinity_s == 10800
    config = {"clientIP": {"timeoutSeconds": 60}}
    assert only([service(sessionAffinity="ClientIP", sessionAffinityConfig=config)], []).affinity_s == 60
