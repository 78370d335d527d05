"""Which UDP flows must be forgotten when endpoints change."""

from __future__ import annotations

from dataclasses import replace

from picluster_agent.network.conntrack import stale_flows
from picluster_agent.network.services import Endpoint, ServicePort

ONE, TWO = Endpoint("10.42.1.2", 53, True), Endpoint("10.42.2.2", 53, False)
DNS = ServicePort("kube-system/dns:dns", "udp", 53, ("10.43.0.10",), 0, (ONE, TWO), (ONE, TWO), False, 0)


def test_only_flows_to_vanished_udp_endpoints() -> None:
    assert stale_flows([DNS], [replace(DNS, cluster_endpoints=(ONE,))]) == [("10.43.0.10", "10.42.2.2")]
    assert stale_flows([replace(DNS, protocol="tcp")], []) == []
    assert stale_flows([], [DNS]) == []
