"""Who stands in which slice, and with how few writes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picluster.controllers.endpointslice import Group, desired, plan_slices


def service(**spec: Any) -> dict[str, Any]:
    ports = [{"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": "default", "uid": "s", "labels": {"team": "a"}},
        "spec": {"clusterIP": "10.43.0.9", "selector": {"app": "web"}, "ports": ports, **spec},
    }


def pod(name: str, ip: str = "10.42.1.5", *, ready: bool = True, **more: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default", "uid": f"uid-{name}", **more.pop("metadata", {})}
    port = {"name": "web", "containerPort": 9090, "protocol": "TCP"}
    spec = {"nodeName": "pi-1", "containers": [{"ports": [port]}], **more.pop("spec", {})}
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    status = {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}], "conditions": conditions, **more}
    return {"metadata": metadata, "spec": spec, "status": status}


def zone_of(node: str) -> str | None:
    return {"pi-1": None, "pi-2": "shelf-2"}[node]


def conditions(group: Group) -> list[tuple[bool, bool, bool]]:
    return [
        tuple(endpoint["conditions"][name] for name in ("ready", "serving", "terminating"))
        for endpoint in group.endpoints
    ]  # type: ignore[misc]


GOING = {"deletionTimestamp": "2026-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("ready", "going", "everyone", "expected"),
    [
        (True, False, False, (True, True, False)),
        (False, False, False, (False, False, False)),
        (True, True, False, (False, True, True)),
        (False, True, False, (False, False, True)),
        (False, False, True, (True, False, False)),
        (True, True, True, (True, True, True)),
    ],
)
def test_conditions(ready: bool, going: bool, everyone: bool, expected: tuple[bool, bool, bool]) -> None:
    member = pod("a", ready=ready, metadata=GOING if going else {})
    (group,) = desired(service(publishNotReadyAddresses=everyone), [member], zone_of)
    assert conditions(group) == [expected]


def test_an_endpoint_says_which_pod_it_is_and_where() -> None:
    member = pod("a", spec={"nodeName": "pi-2", "hostname": "a", "subdomain": "web"})
    (group,) = desired(service(), [member], zone_of)
    assert group.ports == [{"name": "http", "protocol": "TCP", "port": 8080}]
    assert group.endpoints == [
        {
            "addresses": ["10.42.1.5"],
            "conditions": {"ready": True, "serving": True, "terminating": False},
            "targetRef": {"kind": "Pod", "namespace": "default", "name": "a", "uid": "uid-a"},
            "nodeName": "pi-2",
            "zone": "shelf-2",
            "hostname": "a",
        }
    ]


def test_who_stands_nowhere() -> None:
    members = [
        pod("finished", phase="Succeeded"),
        pod("failed", phase="Failed"),
        pod("without-address", podIP="", podIPs=[]),
        pod("without-node", spec={"nodeName": "gone"}),
    ]
    assert desired(service(), members, zone_of) == []


def test_named_ports_may_differ_from_pod_to_pod() -> None:
    named = service(ports=[{"name": "http", "port": 80, "targetPort": "web"}])
    other = pod("b", spec={"containers": [{"ports": [{"name": "web", "containerPort": 7070}]}]})
    nameless = pod("c", spec={"containers": [{}]})
    groups = desired(named, [pod("a"), other, nameless], zone_of)
    assert [[port["port"] for port in group.ports] for group in groups] == [[9090], [7070], []]


def test_a_named_port_of_another_protocol_is_another_port() -> None:
    named = service(ports=[{"port": 53, "targetPort": "web", "protocol": "UDP"}])
    (group,) = desired(named, [pod("a")], zone_of)
    assert group.ports == []


def test_two_families_are_two_groups() -> None:
    both = service(ipFamilies=["IPv4", "IPv6"])
    member = pod("a", podIPs=[{"ip": "10.42.1.5"}, {"ip": "fd00::5"}])
    groups = desired(both, [member], zone_of)
    assert [(group.family, group.endpoints[0]["addresses"]) for group in groups] == [
        ("IPv4", ["10.42.1.5"]),
        ("IPv6", ["fd00::5"]),
    ]


def test_a_service_without_endpoints_has_an_empty_slice() -> None:
    plan = plan_slices(service(clusterIP="None"), [], [])
    (made,) = plan.create
    assert made["endpoints"] == []
    assert made["addressType"] == "IPv4"
    assert made["metadata"]["generateName"] == "web-"
    assert made["metadata"]["labels"] == {
        "team": "a",
        "kubernetes.io/service-name": "web",
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
        "service.kubernetes.io/headless": "",
    }
    assert made["metadata"]["ownerReferences"][0]["uid"] == "s"


def group_of(names: list[str]) -> list[Group]:
    return desired(service(), [pod(name, f"10.42.1.{int(name) % 250 + 1}") for name in names], zone_of)


def named(slices: list[dict[str, Any]], start: int = 0) -> list[dict[str, Any]]:
    """As the server stores them: with a name."""
    for index, one in enumerate(slices):
        one["metadata"] = {**one["metadata"], "name": one["metadata"].get("name") or f"web-{start + index}"}
    return slices


def test_what_stands_well_is_left_alone() -> None:
    slices = named(plan_slices(service(), group_of(["1", "2", "3"]), [], 2).create)
    assert [len(one["endpoints"]) for one in slices] == [2, 1]
    plan = plan_slices(service(), group_of(["1", "2", "3"]), slices, 2)
    assert (plan.create, plan.update, plan.delete) == ([], [], [])


def test_one_change_is_one_write() -> None:
    slices = named(plan_slices(service(), group_of(["1", "2", "3"]), [], 2).create)
    plan = plan_slices(service(), group_of(["1", "3", "4"]), slices, 2)
    assert (len(plan.create), len(plan.update), len(plan.delete)) == (0, 1, 0)


def test_the_last_slice_is_emptied_and_kept() -> None:
    slices = named(plan_slices(service(), group_of(["1", "2", "3"]), [], 2).create)
    plan = plan_slices(service(), [], slices, 2)
    assert plan.create == []
    assert [one["endpoints"] for one in plan.update] == [[]]
    assert len(plan.delete) == 1
    emptied = named(plan.update)
    assert plan_slices(service(), [], emptied, 2).update == []
    refilled = plan_slices(service(), group_of(["9"]), emptied, 2)
    assert (len(refilled.create), len(refilled.update), len(refilled.delete)) == (0, 1, 0)


def test_new_labels_of_the_service_reach_its_slices() -> None:
    slices = named(plan_slices(service(), group_of(["1"]), []).create)
    renamed = service()
    renamed["metadata"]["labels"] = {"team": "b"}
    (updated,) = plan_slices(renamed, group_of(["1"]), slices).update
    assert updated["metadata"]["labels"]["team"] == "b"


members = st.sets(st.integers(0, 40), max_size=14).map(lambda numbers: [str(number) for number in sorted(numbers)])


@given(st.lists(members, min_size=1, max_size=6), st.integers(1, 5))
def test_slices_always_end_up_holding_everyone_once(history: list[list[str]], size_max: int) -> None:
    slices: list[dict[str, Any]] = []
    counter = 0
    for names in history:
        plan = plan_slices(service(), group_of(names), slices, size_max)
        gone = {one["metadata"]["name"] for one in (*plan.delete, *plan.update)}
        slices = [one for one in slices if one["metadata"]["name"] not in gone]
        slices += plan.update + named(plan.create, counter)
        counter += len(plan.create)
        held = [endpoint["targetRef"]["name"] for one in slices for endpoint in one["endpoints"]]
        assert sorted(held) == sorted(names)
        assert all(len(one["endpoints"]) <= size_max for one in slices)
        assert slices
        assert all(one["endpoints"] for one in slices) or len(slices) == 1
        again = plan_slices(service(), group_of(names), slices, size_max)
        assert (again.create, again.update, again.delete) == ([], [], [])
