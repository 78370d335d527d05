"""Which container and which agent a request means."""

from __future__ import annotations

from typing import Any

import pytest

from picluster.api.errors import ApiError
from picluster.apiserver.proxy import AgentAddress, agent_address, container_of


def pod(*containers: str, node: str = "pi-1", init: tuple[str, ...] = (), **annotations: str) -> dict[str, Any]:
    noted = {f"kubectl.kubernetes.io/{key.replace('_', '-')}": value for key, value in annotations.items()}
    return {
        "metadata": {"name": "web", "annotations": noted},
        "spec": {
            "nodeName": node,
            "containers": [{"name": name} for name in containers],
            "initContainers": [{"name": name} for name in init],
        },
    }


@pytest.mark.parametrize(
    ("subject", "wanted", "expected"),
    [
        (pod("a"), "", "a"),
        (pod("a", "b"), "b", "b"),
        (pod("a", init=("i",)), "i", "i"),
        (pod("a", "b", default_container="b"), "", "b"),
    ],
    ids=["only one", "named", "init container", "annotated default"],
)
def test_container(subject: dict[str, Any], wanted: str, expected: str) -> None:
    assert container_of(subject, wanted) == expected


@pytest.mark.parametrize(
    ("subject", "wanted", "message"),
    [
        (pod("a", "b"), "", "a container name must be specified for pod web, choose one of: [a b]"),
        (
            pod("a", "b", init=("i",)),
            "",
            "a container name must be specified for pod web, choose one of: [a b] or one of the init containers: [i]",
        ),
        (pod("a"), "x", "container x is not valid for pod web"),
        (pod("a", node=""), "", "pod web does not have a host assigned"),
    ],
)
def test_refusals(subject: dict[str, Any], wanted: str, message: str) -> None:
    with pytest.raises(ApiError) as refusal:
        container_of(subject, wanted)
    assert (refusal.value.code, refusal.value.message) == (400, message)


def test_agent_address() -> None:
    status: dict[str, Any] = {"addresses": [{"type": "Hostname", "address": "pi-1"}]}
    node = {"metadata": {"name": "pi-1"}, "status": status}
    assert agent_address(node) == AgentAddress("pi-1", 10250)
    status["addresses"].append({"type": "InternalIP", "address": "10.77.0.11"})
    status["daemonEndpoints"] = {"kubeletEndpoint": {"Port": 10251}}
    assert agent_address(node) == AgentAddress("10.77.0.11", 10251)
    with pytest.raises(ApiError, match="no address is known of node pi-2"):
        agent_address({"metadata": {"name": "pi-2"}})
