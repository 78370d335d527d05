"""What a pod's status becomes on its way to the API server."""

from __future__ import annotations

from picluster.api import patch
from picluster.api.resources import PODS
from picluster_agent.sync.writer import as_patch

STRATEGIC = "application/strategic-merge-patch+json"


def test_a_new_sandboxs_address_replaces_the_old_one() -> None:
    pod = {"metadata": {}, "spec": {}, "status": {"podIP": "10.42.0.2", "podIPs": [{"ip": "10.42.0.2"}]}}
    status = {"podIP": "10.42.0.3", "podIPs": [{"ip": "10.42.0.3"}], "hostIPs": [{"ip": "10.77.0.11"}]}
    patched = patch.apply(STRATEGIC, PODS, pod, {"status": as_patch(status)})
    assert patched["status"] == status


def test_a_status_without_addresses_is_sent_as_it_is() -> None:
    assert as_patch({"phase": "Pending"}) == {"phase": "Pending"}
