"""Subsets of Endpoints: by ports, ready and not, in a settled order, bounded."""

from __future__ import annotations

from typing import Any

from picluster.controllers.endpoints import ADDRESSES_MAX, subsets, truncate


def service(**spec: Any) -> dict[str, Any]:
    ports = [{"name": "http", "port": 80, "targetPort": "web"}]
    return {
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"clusterIP": "10.43.0.9", "selector": {"app": "web"}, "ports": ports, **spec},
    }


def pod(name: str, ip: str, *, ready: bool = True, port: int = 8080, going: bool = False) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "namespace": "default", "uid": name}
    if going:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return {
        "metadata": metadata,
        "spec": {"nodeName": "pi-1", "containers": [{"ports": [{"name": "web", "containerPort": port}]}]},
        "status": {
            "phase": "Running",
            "podIP": ip,
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        },
    }


def entry(name: str, ip: str) -> dict[str, Any]:
    reference = {"kind": "Pod", "namespace": "default", "name": name, "uid": name}
    return {"ip": ip, "nodeName": "pi-1", "targetRef": reference}


def test_ready_and_not_ready_are_apart_and_in_the_order_of_addresses() -> None:
    members = [pod("a", "10.42.1.10"), pod("b", "10.42.1.9"), pod("c", "10.42.2.1", ready=False)]
    assert subsets(service(), members) == [
        {
            "addresses": [entry("b", "10.42.1.9"), entry("a", "10.42.1.10")],
            "notReadyAddresses": [entry("c", "10.42.2.1")],
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        }
    ]


def test_other_ports_are_another_subset() -> None:
    found = subsets(service(), [pod("a", "10.42.1.1"), pod("b", "10.42.1.2", port=9090)])
    assert [subset["ports"][0]["port"] for subset in found] == [8080, 9090]


def test_terminating_pods_are_listed_only_when_all_are_published() -> None:
    members = [pod("a", "10.42.1.1", going=True, ready=False)]
    assert subsets(service(), members) == []
    (subset,) = subsets(service(publishNotReadyAddresses=True), members)
    assert [one["ip"] for one in subset["addresses"]] == ["10.42.1.1"]


def test_a_headless_service_may_have_no_ports() -> None:
    assert subsets(service(clusterIP="None", ports=[]), [pod("a", "10.42.1.1")]) == [
        {"addresses": [entry("a", "10.42.1.1")]}
    ]


def test_a_pod_that_lacks_the_named_port_is_left_out() -> None:
    missing = service(ports=[{"name": "http", "port": 80, "targetPort": "other"}])
    assert subsets(missing, [pod("a", "10.42.1.1")]) == []


def test_a_thousand_addresses_are_enough() -> None:
    members = [pod(f"p{n}", f"10.42.{n // 250}.{n % 250 + 1}", ready=n % 2 == 0) for n in range(ADDRESSES_MAX + 20)]
    found = subsets(service(), members)
    assert truncate(found)
    assert len(found[0]["addresses"]) == ADDRESSES_MAX // 2 + 10
    assert len(found[0]["notReadyAddresses"]) == ADDRESSES_MAX // 2 - 10
    assert not truncate(found)
