from __future__ import annotations

import ipaddress
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picluster.api.errors import ApiError
from picluster.apiserver.registry.services import Holding, Reservation, ServiceAllocator, inherit, normalize

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


@pytest.mark.parametrize(
    ("new", "old", "expected"),
    [
        ({"clusterIP": "a"}, None, ["a"]),
        ({"clusterIP": "a", "clusterIPs": ["a", "b"]}, None, ["a", "b"]),
        ({"clusterIP": "b", "clusterIPs": ["a"]}, {"clusterIP": "a", "clusterIPs": ["a"]}, ["b"]),
        ({"clusterIP": "a", "clusterIPs": ["c"]}, {"clusterIP": "a", "clusterIPs": ["a"]}, ["c"]),
    ],
)
def test_both_address_fields_are_kept_alike(new: Object, old: Object | None, expected: list[str]) -> None:
    changed = {"spec": new}
    normalize(changed, {"spec": old} if old is not None else None)
    assert changed["spec"]["clusterIPs"] == expected


def test_node_ports_are_inherited_by_port_and_protocol() -> None:
    old = service("a", type="NodePort", ports=[{"port": 80, "protocol": "TCP", "nodePort": 30001}])
    old["spec"] |= {"clusterIP": "10.43.0.5", "clusterIPs": ["10.43.0.5"]}
    new = service("a", type="NodePort", ports=[{"port": 80, "protocol": "TCP"}, {"port": 81, "protocol": "TCP"}])
    inherit(new, old)
    assert [port.get("nodePort") for port in new["spec"]["ports"]] == [30001, None]
    assert new["spec"]["clusterIP"] == "10.43.0.5"
