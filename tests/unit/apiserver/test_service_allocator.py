from __future__ import annotations

import ipaddress
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picluster.api.errors import ApiError
from picluster.apiserver.registry.services import Holding, Reservation, ServiceAllocator

Object = dict[str, Any]


def service(name: str, **spec: Any) -> Object:
    return {"metadata": {"name": name}, "spec": {"type": "ClusterIP", "ports": [{"port": 80}], **spec}}


def allocator(cidr: str = "10.43.0.0/28") -> ServiceAllocator:
    return ServiceAllocator(cidr, random.Random(7))


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["create", "update", "delete"]),
        st.integers(0, 5),
        st.sampled_from(["ClusterIP", "NodePort", "ExternalName"]),
        st.sampled_from(["", "10.43.0.2", "10.43.0.3", "None"]),
        st.sampled_from([0, 30001, 30002]),
        st.booleans(),
    ),
    max_size=40,
)


@settings(max_examples=200)
@given(STEPS)
def test_nothing_is_held_twice_and_nothing_is_lost(steps: list[tuple[str, int, str, str, int, bool]]) -> None:
    books, live = allocator(), dict[int, Object]()
    for action, number, kind, address, port, fails in steps:
        if action == "delete":
            if number in live:
                books.release(books.holding(live.pop(number)))
            continue
        if (action == "update") != (number in live):
            continue
        wanted = service(f"s{number}", type=kind, ports=[{"port": 80, **({"nodePort": port} if port else {})}])
        if address:
            wanted["spec"]["clusterIP"] = address
        try:
            reservation = books.reserve(wanted, live.get(number))
        except ApiError:
            continue
        end(reservation, fails)
        if not fails:
            live[number] = wanted
    held = [books.holding(each) for each in live.values()]
    addresses = [address for each in held for address in each.addresses]
    ports = [port for each in held for port in each.ports]
    assert len(addresses) == len(set(addresses)) and len(ports) == len(set(ports))
    for each in live.values():
        books.release(books.holding(each))
    everything = [books.reserve(service(f"x{n}"), None) for n in range(14)]
    assert len({address for each in everything for address in each.taken.addresses}) == 14
    with pytest.raises(ApiError, match="range is full"):
        books.reserve(service("y"), None)


def end(reservation: Reservation, fails: bool) -> None:
    if fails:
        reservation.cancel()
    else:
        reservation.keep()


def test_a_refusal_takes_nothing() -> None:
    books = allocator()
    books.reserve(service("a", type="NodePort", ports=[{"port": 80, "nodePort": 30001}]), None)
    wanted = [{"port": 80, "nodePort": 30002}, {"port": 81, "nodePort": 30001}]
    with pytest.raises(ApiError, match=r"spec.ports\[1\].nodePort"):
        books.reserve(service("b", type="NodePort", ports=wanted, clusterIP="10.43.0.9"), None)
    books.reserve(service("b", type="NodePort", ports=wanted[:1], clusterIP="10.43.0.9"), None)


def test_the_first_part_of_a_large_range_is_left_to_people() -> None:
    books = ServiceAllocator("10.43.0.0/16", random.Random(1))
    for number in range(200):
        created = service(f"s{number}")
        books.reserve(created, None)
        _, _, third, _ = created["spec"]["clusterIP"].split(".")
        assert int(third) >= 1
    assert books.first == "10.43.0.1"


def test_what_has_no_address_holds_none() -> None:
    books = allocator()
    assert books.holding(service("a", clusterIP="None", clusterIPs=["None"])) == Holding()
    assert books.holding({"metadata": {}, "spec": {"type": "ExternalName", "clusterIPs": ["10.43.0.3"]}}) == Holding()


def test_an_address_is_held_when_its_range_has_gone() -> None:
    books = allocator("10.43.0.0/30")
    books.set_ranges("extra", ["10.44.0.0/30", "2001:db8::/64"])
    made = [service(f"s{n}") for n in range(4)]
    for each in made:
        books.reserve(each, None).keep()
    assert {each["spec"]["clusterIP"] for each in made} == {"10.43.0.1", "10.43.0.2", "10.44.0.1", "10.44.0.2"}
    books.set_ranges("extra", [])
    with pytest.raises(ApiError, match="The range of valid IPs is"):
        books.reserve(service("x", clusterIP="10.44.0.1"), None)
    books.set_ranges("extra", ["10.44.0.0/30"])
    with pytest.raises(ApiError, match="range is full"):
        books.reserve(service("x"), None)
    for each in made:
        books.release(books.holding(each))
    books.reserve(service("x", clusterIP="10.44.0.1"), None)


def test_an_address_that_has_an_object_is_not_drawn() -> None:
    books = allocator("10.43.0.0/30")
    books.named.add(int(ipaddress.ip_address("10.43.0.1")))
    created = service("a")
    books.reserve(created, None)
    assert created["spec"]["clusterIP"] == "10.43.0.2"
    with pytest.raises(ApiError, match="provided IP is already allocated"):
        books.reserve(service("b", clusterIP="10.43.0.1"), None)


def test_a_port_in_two_protocols_has_one_number() -> None:
    ports = [{"port": 53, "protocol": "UDP"}, {"port": 80}, {"port": 53, "protocol": "TCP", "nodePort": 30053}]
    created = service("dns", type="NodePort", ports=ports)
    allocator().reserve(created, None)
    numbers = [port["nodePort"] for port in created["spec"]["ports"]]
    assert numbers[0] == numbers[2] == 30053 != numbers[1]


def test_a_health_check_has_a_port_of_its_own() -> None:
    books = allocator()
    local = {"type": "LoadBalancer", "externalTrafficPolicy": "Local"}
    first = service("a", **local)
    books.reserve(first, None).keep()
    number = first["spec"]["healthCheckNodePort"]
    assert number and number != first["spec"]["ports"][0]["nodePort"]
    with pytest.raises(ApiError, match="failed to allocate requested HealthCheck NodePort"):
        books.reserve(service("b", **local, healthCheckNodePort=number), None)
    books.release(books.holding(first))
    books.reserve(service("b", **local, healthCheckNodePort=number), None)


BOTH = ["IPv4", "IPv6"]
POLICY, HERE = "spec.ipFamilyPolicy: Invalid value: ", "not configured on this cluster"


@pytest.mark.parametrize(
    ("spec", "old", "expected"),
    [
        ({}, None, (["IPv4"], "SingleStack")),
        ({"ipFamilyPolicy": "PreferDualStack"}, None, (["IPv4"], "PreferDualStack")),
        ({"clusterIP": "None", "clusterIPs": ["None"]}, None, (BOTH, "RequireDualStack")),
        ({"clusterIP": "None", "selector": {"a": "b"}}, None, (["IPv4"], "SingleStack")),
        ({"clusterIP": "None", "ipFamilyPolicy": "SingleStack"}, None, (["IPv4"], "SingleStack")),
        ({"clusterIP": "None", "ipFamilies": ["IPv6"], "ipFamilyPolicy": "PreferDualStack"}, None,
         (["IPv6", "IPv4"], "PreferDualStack")),
        ({"clusterIP": "None", "ipFamilies": BOTH, "ipFamilyPolicy": "SingleStack"},
         {"clusterIP": "None", "ipFamilies": BOTH, "ipFamilyPolicy": "RequireDualStack"}, (["IPv4"], "SingleStack")),
        ({"clusterIP": "None", "ipFamilies": ["IPv4"], "ipFamilyPolicy": "RequireDualStack"},
         {"clusterIP": "None", "ipFamilies": BOTH},
         f'{POLICY}"RequireDualStack": must be \'SingleStack\' to release the secondary IP family'),
        ({"ipFamilyPolicy": "RequireDualStack"}, None,
         f'{POLICY}"RequireDualStack": this cluster is not configured for dual-stack services'),
        ({"ipFamilies": ["IPv6"]}, None, f'spec.ipFamilies[0]: Invalid value: "IPv6": {HERE}'),
        ({"ipFamilies": BOTH, "ipFamilyPolicy": "SingleStack"}, None,
         f"{POLICY}\"SingleStack\": must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are"
         " specified"),
        ({"clusterIP": "fd00::1", "clusterIPs": ["fd00::1"]}, None,
         f'spec.clusterIPs[0]: Invalid value: ["fd00::1"]: IPv6 is {HERE}'),
    ],
)  # fmt: skip
def test_families_are_those_of_the_cluster(spec: Object, old: Object | None, expected: Any) -> None:
    wanted = service("a", **spec)
    before = service("a", **old) if old is not None else None
    if isinstance(expected, str):
        with pytest.raises(ApiError) as refused:
            allocator().reserve(wanted, before)
        assert refused.value.message == f'Service "a" is invalid: {expected}'
    else:
        allocator().reserve(wanted, before)
        assert (wanted["spec"]["ipFamilies"], wanted["spec"]["ipFamilyPolicy"]) == expected
