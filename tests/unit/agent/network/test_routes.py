"""Routes to the other nodes' pods, as a difference of sets."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from picluster_agent.network.routes import PROTOCOL, Route, changes, desired, peers


def node(name: str, cidr: str | None, ip: str | None) -> dict[str, Any]:
    addresses = [{"type": "Hostname", "address": name}] + ([{"type": "InternalIP", "address": ip}] if ip else [])
    return {"metadata": {"name": name}, "spec": {"podCIDR": cidr}, "status": {"addresses": addresses}}


def test_a_route_to_every_other_node_that_has_a_range_and_an_address() -> None:
    nodes = [
        node("pi-1", "10.42.0.0/24", "10.77.0.11"),
        node("pi-2", "10.42.1.0/24", "10.77.0.12"),
        node("pi-3", None, "10.77.0.13"),
        node("pi-4", "10.42.3.0/24", None),
    ]
    assert peers(nodes, "pi-1") == [Route("10.42.1.0/24", via="10.77.0.12")]


def test_unknown_pods_are_unreachable_and_services_stay_on_the_node() -> None:
    wanted = desired([], "pi-1", "10.42.0.0/16", "10.43.0.0/16", "eth0", "10.77.0.11")
    assert wanted == {Route("10.42.0.0/16"), Route("10.43.0.0/16", device="eth0", source="10.77.0.11")}


def test_a_changed_next_hop_is_replaced_not_removed() -> None:
    lines = changes({Route("10.42.1.0/24", via="10.77.0.12")}, {Route("10.42.1.0/24", via="10.77.0.22")})
    assert lines == [f"route replace 10.42.1.0/24 via 10.77.0.22 proto {PROTOCOL}"]


routes = st.builds(
    Route, st.sampled_from([f"10.42.{i}.0/24" for i in range(5)]), st.sampled_from(["10.0.0.1", "10.0.0.2"])
)
tables = st.frozensets(routes).map(lambda found: set({route.destination: route for route in found}.values()))


@given(tables, tables)
def test_applying_the_changes_gives_what_is_wanted(current: set[Route], wanted: set[Route]) -> None:
    table = {route.destination: route.arguments() for route in current}
    for line in changes(current, wanted):
        _, verb, *rest = line.removesuffix(f" proto {PROTOCOL}").split(" ")
        if verb == "replace":
            table[rest[0]] = " ".join(rest)
        else:
            del table[rest[0]]
    assert table == {route.destination: route.arguments() for route in wanted}
