"""What hollow nodes and their pods report, and which addresses they give."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from picluster.api.meta import condition_is, get_condition
from picluster.hollow import Addresses, names, node_object, running

CIDR = "10.42.3.0/29"


def pod(**spec: Any) -> dict[str, Any]:
    metadata = {"name": "web-1", "namespace": "default", "uid": "u"}
    return {"metadata": metadata, "spec": {"containers": [{"name": "web", "image": "web:1"}], **spec}}


def test_names_are_numbered() -> None:
    assert list(names(2)) == ["hollow-0001", "hollow-0002"]


def test_a_hollow_node_is_ready_and_has_no_address_to_send_packets_to() -> None:
    node = node_object("hollow-0001", 0.0)
    assert condition_is(node, "Ready")
    assert [address["type"] for address in node["status"]["addresses"]] == ["Hostname"]
    assert node["status"]["allocatable"]["pods"] == "110"


def test_a_pod_runs_with_its_sidecars_after_its_init_containers() -> None:
    status = running(pod(initContainers=[{"name": "a"}, {"name": "b", "restartPolicy": "Always"}]), "10.42.3.2", 0.0)
    assert (status["phase"], status["podIP"]) == ("Running", "10.42.3.2")
    assert [list(one["state"]) for one in status["initContainerStatuses"]] == [["terminated"], ["running"]]
    assert [one["ready"] for one in status["containerStatuses"]] == [True]
    assert condition_is({"status": status}, "Ready")


def test_a_pod_that_was_marked_not_ready_is_ready_again_and_as_old_as_before() -> None:
    before = pod()
    before["status"] = running(before, "10.42.3.2", 0.0)
    for condition in before["status"]["conditions"]:
        if condition["type"] == "Ready":
            condition |= {"status": "False", "reason": "NodeNotReady"}
    after = {"status": running(before, "10.42.3.2", 60.0)}
    ready = get_condition(after, "Ready")
    assert ready is not None
    assert (ready["status"], ready["lastTransitionTime"], ready["reason"]) == ("True", "1970-01-01T00:01:00Z", None)
    initialized = get_condition(after, "Initialized")
    assert initialized is not None and initialized["lastTransitionTime"] == "1970-01-01T00:00:00Z"
    assert after["status"]["startTime"] == "1970-01-01T00:00:00Z"


def test_a_pod_says_what_it_has_seen_of_its_spec() -> None:
    resources = {"requests": {"cpu": "1"}, "limits": {"cpu": "2"}}
    seen = pod(containers=[{"name": "c", "resources": resources}])
    seen["metadata"]["generation"] = 4
    status = running(seen, "10.42.3.2", 0.0)
    (container,) = status["containerStatuses"]
    assert (container["resources"], container["allocatedResources"]) == (resources, {"cpu": "1"})
    assert {part["observedGeneration"] for part in (status, *status["conditions"])} == {4}


def test_a_range_that_is_used_up() -> None:
    addresses = Addresses()
    given = [addresses.take("a", CIDR, f"u{number}") for number in range(6)]
    assert given == ["10.42.3.2", "10.42.3.3", "10.42.3.4", "10.42.3.5", "10.42.3.6", None]
    addresses.release("u1")
    addresses.release("u1")
    assert addresses.take("a", CIDR, "u5") == "10.42.3.3"


def test_an_address_from_before_a_restart_is_not_given_again() -> None:
    addresses = Addresses()
    addresses.hold("a", "old", "10.42.3.2")
    assert addresses.take("a", CIDR, "new") == "10.42.3.3"
    assert addresses.take("a", CIDR, "old") == "10.42.3.2"


@given(st.lists(st.tuples(st.booleans(), st.sampled_from("abcdefgh")), max_size=40))
def test_no_two_pods_have_one_address(steps: list[tuple[bool, str]]) -> None:
    addresses, have = Addresses(), {}
    for comes, uid in steps:
        if comes:
            ip = addresses.take("node", CIDR, uid)
            assert ip is not None or len(have) == 5
            if ip is not None:
                assert have.setdefault(uid, ip) == ip
        else:
            addresses.release(uid)
            have.pop(uid, None)
        assert len(set(have.values())) == len(have)
