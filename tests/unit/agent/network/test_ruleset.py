"""The ruleset as text: a golden file, and what a small change costs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from picluster_agent.network.ruleset import Ranges, build, diff, render
from picluster_agent.network.services import Endpoint, ServicePort

HERE = Path(__file__).parent
RANGES = Ranges("10.42.0.0/16", "10.43.0.0/16", "10.42.1.0/24")
NEAR, FAR = Endpoint("10.42.1.2", 8080, True), Endpoint("10.42.2.3", 8080, False)
WEB = ServicePort("default/web:http", "tcp", 80, ("10.43.0.5",), 0, (NEAR, FAR), (NEAR, FAR), False, 0)
NODE_PORT = replace(WEB, name="default/edge:http", addresses=("10.43.0.6",), node_port=30080)
LOCAL = replace(
    NODE_PORT, name="default/sticky:http", addresses=("10.43.0.7",), node_port=30081,
    external_endpoints=(NEAR,), external_local=True, affinity_s=60,
)  # fmt: skip


def test_the_whole_table(golden: object) -> None:
    text = "\n".join(render(build([WEB, NODE_PORT, LOCAL], RANGES))) + "\n"
    golden(HERE / "ruleset.golden.nft", text)  # type: ignore[operator]


def test_an_endpoint_that_dies_touches_one_chain() -> None:
    ports = [replace(WEB, name=f"default/web-{i}:http", addresses=(f"10.43.1.{i}",)) for i in range(20)]
    survivors = [replace(ports[0], cluster_endpoints=(NEAR,)), *ports[1:]]
    commands = diff(build(ports, RANGES), build(survivors, RANGES))
    assert [command.split()[0] for command in commands] == ["flush", "add"]


def test_a_service_without_endpoints_has_no_way_in_and_so_is_rejected() -> None:
    rules = build([replace(WEB, cluster_endpoints=(), external_endpoints=())], RANGES)
    assert rules.services == {}
    assert any("reject with tcp reset" in rule for rule in rules.chains["filter-output"])


def test_nothing_changed_is_no_transaction() -> None:
    assert diff(build([WEB, LOCAL], RANGES), build([WEB, LOCAL], RANGES)) == []


def test_traffic_from_outside_is_masqueraded_unless_the_policy_keeps_the_client_address() -> None:
    chains = build([NODE_PORT, LOCAL], RANGES).chains
    marked = [name for name, rules in chains.items() if any("mark set" in rule for rule in rules)]
    assert len(marked) == 1
    assert chains[marked[0]][-1].startswith("goto svc-")
