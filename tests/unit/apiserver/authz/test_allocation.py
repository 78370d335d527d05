"""The parts of a ResourceClaim's status and who may write them."""

from __future__ import annotations

from typing import Any

import pytest

from picluster.api.errors import ApiError
from picluster.api.resources import RESOURCE_CLAIMS
from picluster.apiserver.authn import User
from picluster.apiserver.authz.allocation import Allocation, allocated_node, changed_drivers
from picluster.apiserver.authz.attributes import Attributes
from picluster.apiserver.authz.chain import ALLOWED, NO_OPINION, Chain, Decision, Held
from picluster.apiserver.registry.registry import Write

NODE = "authentication.kubernetes.io/node-name"
DRIVER = User("system:serviceaccount:dra:plugin", frozenset(), extra=((NODE, ("pi-1",)),))
ON_PI_1 = {"nodeSelector": {"nodeSelectorTerms": [
    {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["pi-1"]}]},
]}}  # fmt: skip
DEVICE = {"driver": "gpu.example.com", "pool": "p", "device": "d"}


class Allows:
    def __init__(self, *asked: tuple[str, str, str, str]) -> None:
        self._asked = asked

    def decide(self, attributes: Attributes) -> Decision:
        question = (attributes.verb, attributes.subresource, attributes.namespace, attributes.name)
        return ALLOWED if question in self._asked else NO_OPINION

    def held(self, user: User, namespace: str) -> Held:
        return Held([])


def write(status: dict[str, Any], old: dict[str, Any], *asked: tuple[str, str, str, str], user: User = DRIVER) -> None:
    request = Write(user, RESOURCE_CLAIMS, "a", "c", "status", verb="patch")
    Allocation(Chain([Allows(*asked)])).check(request, {"status": status}, {"status": old})


def test_an_allocation_needs_binding() -> None:
    write({"allocation": ON_PI_1}, {}, ("patch", "binding", "", ""))
    write({"reservedFor": []}, {})
    with pytest.raises(ApiError) as refused:
        write({"allocation": ON_PI_1}, {})
    assert refused.value.code == 422
    assert refused.value.message == (
        'ResourceClaim.resource.k8s.io "c" is invalid: status: Forbidden: changing status.allocation or'
        ' status.reservedFor requires resource="resourceclaims/binding", verb="patch" permission:'
        ' resourceclaims.resource.k8s.io is forbidden: User "system:serviceaccount:dra:plugin" cannot patch'
        ' resource "resourceclaims/binding" in API group'
        ' "resource.k8s.io" at the cluster scope'
    )


def test_a_driver_speaks_of_its_devices_on_its_node() -> None:
    new, old = {"allocation": ON_PI_1, "devices": [DEVICE]}, {"allocation": ON_PI_1}
    mine = ("associated-node:patch", "driver", "a", "gpu.example.com")
    anywhere = ("arbitrary-node:patch", "driver", "a", "gpu.example.com")
    write(new, old, mine)
    write(new, old, anywhere)
    for who, status in ((User("ann", frozenset()), new), (DRIVER, {**new, "allocation": {}})):
        with pytest.raises(ApiError, match=r"verb=\"\[arbitrary-node:patch\]\" permission"):
            write(status, {**old, "allocation": status["allocation"]}, mine, user=who)
    with pytest.raises(ApiError, match=r"verb=\"\[associated-node:patch arbitrary-node:patch\]\" permission"):
        write(new, old)


def test_changed_devices_are_told_by_driver() -> None:
    other = {**DEVICE, "driver": "nic.example.com"}
    assert changed_drivers({"devices": [DEVICE, other]}, {"devices": [other]}) == {"gpu.example.com"}
    assert changed_drivers({}, {"devices": [other]}) == {"nic.example.com"}
    assert changed_drivers({"devices": [{**DEVICE, "data": {}}]}, {"devices": [DEVICE]}) == {"gpu.example.com"}
    assert changed_drivers({"devices": [DEVICE]}, {"devices": [dict(DEVICE)]}) == set()


def test_an_allocation_is_for_one_node_or_none_is_told() -> None:
    assert allocated_node(ON_PI_1) == "pi-1"
    terms = ON_PI_1["nodeSelector"]["nodeSelectorTerms"]
    assert allocated_node({"nodeSelector": {"nodeSelectorTerms": [*terms, *terms]}}) == ""
    assert allocated_node({}) == ""
