"""The kernel's view of the ruleset, in a network namespace of its own: a difference ends where a whole table would."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from picluster_agent.network.ruleset import Ranges, build, diff, render
from picluster_agent.network.services import Endpoint, ServicePort

pytestmark = pytest.mark.lab
NETNS = "picluster-test-nft"
endpoints = st.lists(
    st.builds(Endpoint, st.sampled_from([f"10.42.1.{i}" for i in range(2, 7)]), st.just(8080), st.booleans()),
    unique_by=lambda endpoint: endpoint.ip,
    max_size=4,
).map(lambda found: tuple(sorted(found)))


@st.composite
def service_port(draw: st.DrawFn, index: int) -> ServicePort:
    everywhere = draw(endpoints)
    external_local = draw(st.booleans())
    return ServicePort(
        name=f"default/web-{index}:http",
        protocol=draw(st.sampled_from(["tcp", "udp"])),
        port=80,
        addresses=(f"10.43.0.{index}",),
        node_port=draw(st.sampled_from([0, 30080 + index])),
        cluster_endpoints=everywhere,
        external_endpoints=tuple(e for e in everywhere if e.local) if external_local else everywhere,
        external_local=external_local,
        affinity_s=draw(st.sampled_from([0, 60])),
    )


worlds = st.sets(st.integers(1, 5)).flatmap(lambda names: st.tuples(*(service_port(index=i) for i in sorted(names))))
ranges = st.sampled_from([Ranges("10.42.0.0/16", "10.43.0.0/16", cidr) for cidr in ("", "10.42.1.0/24")])


@pytest.fixture(scope="module")
def netns() -> Iterator[str]:
    subprocess.run(["ip", "netns", "delete", NETNS], capture_output=True, check=False)
    subprocess.run(["ip", "netns", "add", NETNS], check=True)
    yield NETNS
    subprocess.run(["ip", "netns", "delete", NETNS], check=True)


def apply(commands: list[str]) -> None:
    subprocess.run(["ip", "netns", "exec", NETNS, "nft", "-f", "-"], input="\n".join(commands), text=True, check=True)


def kernel_state() -> list[str]:
    out = subprocess.run(
        ["ip", "netns", "exec", NETNS, "nft", "-j", "list", "ruleset"], capture_output=True, check=True
    )
    found: list[Any] = json.loads(out.stdout)["nftables"]
    return sorted(json.dumps(_without_handles(entry), sort_keys=True) for entry in found if "metainfo" not in entry)


def _without_handles(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_handles(part) for key, part in value.items() if key != "handle"}
    if isinstance(value, list):
        parts = [_without_handles(part) for part in value]
        return sorted(parts, key=json.dumps) if all(isinstance(part, list) for part in parts) else parts
    return value


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(worlds, ranges, worlds, ranges)
def test_a_difference_ends_where_a_whole_table_would(
    netns: str, before: tuple[ServicePort, ...], old: Ranges, after: tuple[ServicePort, ...], new: Ranges
) -> None:
    apply(render(build(before, old)))
    apply(diff(build(before, old), build(after, new)))
    stepwise = kernel_state()
    apply(render(build(after, new)))
    assert stepwise == kernel_state()
