"""What creates and updates may change."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from picluster.api import defaults, strategy
from picluster.api.errors import ApiError
from picluster.api.resources import (
    CONFIGMAPS,
    DAEMONSETS,
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    LIMIT_RANGES,
    NAMESPACES,
    NODES,
    POD_DISRUPTION_BUDGETS,
    PODS,
    REPLICASETS,
    SECRETS,
    SERVICES,
    VOLUME_ATTACHMENTS,
    Resource,
)
from picluster.api.types import Object

NOW = "2026-01-31T12:00:00Z"


def _created(resource: Resource, obj: Object) -> Object:
    defaults.apply(resource, obj)
    return strategy.prepare_create(resource, obj, NOW)


def _old(**parts: Any) -> Object:
    metadata = {"name": "a", "uid": "u", "creationTimestamp": NOW, "generation": 3, "resourceVersion": "7"}
    return {"metadata": {**metadata, **parts.pop("metadata", {})}, **parts}


def test_a_created_pod(pod: Object) -> None:
    pod["metadata"] |= {
        "uid": "chosen",
        "creationTimestamp": "1999-01-01T00:00:00Z",
        "deletionTimestamp": NOW,
        "deletionGracePeriodSeconds": 1,
        "selfLink": "/x",
        "generation": 9,
    }
    pod["status"] = {"phase": "Running", "podIP": "1.2.3.4"}
    created = _created(PODS, pod)
    metadata = created["metadata"]
    assert metadata["creationTimestamp"] == NOW
    assert metadata["generation"] == 1
    assert metadata["uid"] != "chosen"
    assert not metadata.keys() & {"deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"}
    assert created["status"] == {"phase": "Pending", "qosClass": "Burstable"}


def test_a_gated_pod_says_so() -> None:
    pod = {"metadata": {"name": "a"}, "spec": {"containers": [], "schedulingGates": [{"name": "x"}]}}
    (condition,) = _created(PODS, pod)["status"]["conditions"]
    assert (condition["type"], condition["status"], condition["reason"]) == ("PodScheduled", "False", "SchedulingGated")
    assert condition["lastTransitionTime"] == NOW


def test_a_generated_name() -> None:
    metadata = _created(CONFIGMAPS, {"metadata": {"generateName": "web-"}})["metadata"]
    assert metadata["name"].startswith("web-")
    assert len(metadata["name"]) == len("web-") + 5
    assert "generation" not in metadata
    assert _created(CONFIGMAPS, {"metadata": {"generateName": "web-", "name": "a"}})["metadata"]["name"] == "a"
    assert "name" not in _created(CONFIGMAPS, {})["metadata"]


@pytest.mark.parametrize("version", ["", "0"])
def test_no_resource_version_comes_in(version: str) -> None:
    assert "resourceVersion" not in _created(CONFIGMAPS, {"metadata": {"resourceVersion": version}})["metadata"]
    with pytest.raises(ApiError, match="resourceVersion should not be set on objects to be created"):
        _created(CONFIGMAPS, {"metadata": {"resourceVersion": "7"}})


@pytest.mark.parametrize(
    ("resource", "status"),
    [
        (SERVICES, {"loadBalancer": {}}),
        (DEPLOYMENTS, {}),
        (REPLICASETS, {"replicas": 0}),
        (NAMESPACES, {"phase": "Active"}),
        (NODES, {"phase": "Running", "replicas": 4}),
    ],
)
def test_the_status_of_a_new_object(resource: Resource, status: Object) -> None:
    obj = {"metadata": {"name": "a"}, "spec": {}, "status": {"phase": "Running", "replicas": 4}}
    assert _created(resource, obj)["status"] == status


def test_a_new_namespace() -> None:
    namespace = _created(NAMESPACES, {"metadata": {"generateName": "x-"}, "spec": {"finalizers": ["a/b"]}})
    assert namespace["spec"]["finalizers"] == ["a/b", "kubernetes"]
    assert namespace["metadata"]["labels"]["kubernetes.io/metadata.name"] == namespace["metadata"]["name"]


def test_an_update_keeps_what_the_server_set() -> None:
    old = _old(metadata={"deletionTimestamp": NOW, "deletionGracePeriodSeconds": 30}, data={"a": "1"})
    new = {
        "metadata": {"name": "a", "resourceVersion": "7", "creationTimestamp": "1999-01-01T00:00:00Z", "selfLink": "x"}
    }
    kept = deepcopy(old)
    updated = strategy.prepare_update(CONFIGMAPS, new, old)
    assert updated["metadata"] == {**kept["metadata"]}
    assert "data" not in updated
    assert old == kept


def test_a_uid_that_differs_stays_for_validation_to_see() -> None:
    assert strategy.prepare_update(CONFIGMAPS, {"metadata": {"uid": "x"}}, _old())["metadata"]["uid"] == "x"


def test_an_update_leaves_the_status_and_counts_the_spec() -> None:
    old = _old(spec={"replicas": 1}, status={"replicas": 1})
    same = strategy.prepare_update(
        REPLICASETS, {"metadata": {}, "spec": {"replicas": 1}, "status": {"replicas": 9}}, old
    )
    assert same["status"] == {"replicas": 1}
    assert same["metadata"]["generation"] == 3
    changed = strategy.prepare_update(REPLICASETS, {"metadata": {"generation": 99}, "spec": {"replicas": 2}}, old)
    assert changed["metadata"]["generation"] == 4
    assert changed["status"] == {"replicas": 1}


def test_a_status_update_leaves_the_spec() -> None:
    old = _old(metadata={"labels": {"a": "b"}}, spec={"replicas": 1}, status={})
    new = {"metadata": {"labels": {"c": "d"}}, "spec": {"replicas": 5}, "status": {"replicas": 5}}
    for resource, labels in ((DEPLOYMENTS, {"a": "b"}), (REPLICASETS, {"c": "d"})):
        updated = strategy.prepare_update(resource, deepcopy(new), old, "status")
        assert updated["spec"] == {"replicas": 1}
        assert updated["status"] == {"replicas": 5}
        assert updated["metadata"]["labels"] == labels
        assert updated["metadata"]["generation"] == 3


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        (REPLICASETS, {"replicas": 0}),
        (DAEMONSETS, {"currentNumberScheduled": 0, "desiredNumberScheduled": 0, "numberMisscheduled": 0,
                      "numberReady": 0}),
        (POD_DISRUPTION_BUDGETS, {"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0,
                                  "expectedPods": 0}),
        (VOLUME_ATTACHMENTS, {"attached": False}),
    ],
)  # fmt: skip
def test_some_fields_of_a_status_are_never_absent(resource: Resource, expected: Object) -> None:
    assert _created(resource, {"metadata": {"name": "a"}, "status": {"replicas": 9}})["status"] == expected
    new: Object = {"metadata": {}, "spec": {}, "status": {"conditions": []}}
    updated = strategy.prepare_update(resource, new, _old(spec={}, status={}), "status")
    assert updated["status"] == {**expected, "conditions": []}


def test_a_pod_status_update_keeps_owners_and_quality_of_service() -> None:
    owners = [{"uid": "o"}]
    old = _old(metadata={"ownerReferences": owners}, spec={}, status={"phase": "Pending", "qosClass": "Burstable"})
    new = {"metadata": {"ownerReferences": []}, "spec": {}, "status": {"phase": "Running"}}
    updated = strategy.prepare_update(PODS, new, old, "status")
    assert updated["metadata"]["ownerReferences"] == owners
    assert updated["status"] == {"phase": "Running", "qosClass": "Burstable"}


def test_annotations_of_a_deployment_count_too() -> None:
    old = _old(spec={})
    new = {"metadata": {"annotations": {"a": "b"}}, "spec": {}}
    assert strategy.prepare_update(DEPLOYMENTS, deepcopy(new), old)["metadata"]["generation"] == 4
    assert strategy.prepare_update(REPLICASETS, deepcopy(new), old)["metadata"]["generation"] == 3


def test_endpoint_slices_count_endpoints_and_labels() -> None:
    old = _old(endpoints=[], addressType="IPv4", ports=[])
    new = {"metadata": {"annotations": {"a": "b"}}, "endpoints": [], "addressType": "IPv4", "ports": []}
    assert strategy.prepare_update(ENDPOINT_SLICES, deepcopy(new), old)["metadata"]["generation"] == 3
    new["endpoints"] = [{"addresses": ["10.0.0.1"]}]
    assert strategy.prepare_update(ENDPOINT_SLICES, new, old)["metadata"]["generation"] == 4


def test_endpoint_slices_have_no_topology() -> None:
    endpoint = {"addresses": ["10.0.0.1"], "deprecatedTopology": {"a": "b"}}
    made = {"metadata": {"name": "a"}, "endpoints": [endpoint]}
    assert _created(ENDPOINT_SLICES, deepcopy(made))["endpoints"] == [{"addresses": ["10.0.0.1"]}]
    old = _old(endpoints=[endpoint])
    assert strategy.prepare_update(ENDPOINT_SLICES, deepcopy(made), old)["endpoints"] == [endpoint]


def test_only_finalize_changes_the_finalizers_of_a_namespace() -> None:
    old = _old(spec={"finalizers": ["kubernetes"]}, status={"phase": "Terminating"})
    new = {"metadata": {}, "spec": {"finalizers": []}, "status": {"phase": "Active"}}
    assert strategy.prepare_update(NAMESPACES, deepcopy(new), old)["spec"] == old["spec"]
    finalized = strategy.prepare_update(NAMESPACES, deepcopy(new), old, "finalize")
    assert finalized["spec"] == {"finalizers": []}
    assert finalized["status"] == old["status"]


@pytest.mark.parametrize(
    ("resource", "obj", "requested_s", "expected_s"),
    [
        (PODS, {"spec": {"nodeName": "n", "terminationGracePeriodSeconds": 30}}, None, 30),
        (PODS, {"spec": {"nodeName": "n", "terminationGracePeriodSeconds": 30}}, 5, 5),
        (PODS, {"spec": {"nodeName": "n", "terminationGracePeriodSeconds": 30}}, 0, 0),
        (PODS, {"spec": {"nodeName": "n"}}, -1, 1),
        (PODS, {"spec": {"terminationGracePeriodSeconds": 30}}, None, 0),
        (
            PODS,
            {"spec": {"nodeName": "n", "terminationGracePeriodSeconds": 30}, "status": {"phase": "Failed"}},
            None,
            0,
        ),
        (SECRETS, {}, 30, 0),
    ],
)
def test_grace_periods(resource: Resource, obj: Object, requested_s: int | None, expected_s: int) -> None:
    assert strategy.delete_grace_period_s(resource, obj, requested_s) == expected_s


BINDING: Object = {"metadata": {"name": "a"}, "target": {"kind": "Node", "name": "pi-1"}}


def test_a_pod_that_is_placed_is_nominated_no_more() -> None:
    pod = _old(spec={}, status={"phase": "Pending", "nominatedNodeName": "pi-2"})
    assert "nominatedNodeName" not in strategy.bind(pod, {"target": {"name": "pi-1"}}, NOW)["status"]


def test_binding_places_a_pod() -> None:
    pod = _old(spec={"containers": []}, status={"phase": "Pending"})
    pod["metadata"]["labels"] = {"own": "pod"}
    before = deepcopy(pod)
    said = {"name": "a", "annotations": {"x": "y"}, "labels": {"own": "binding", "zone": "z"}}
    bound = strategy.bind(pod, {**BINDING, "metadata": said}, NOW)
    assert pod == before
    assert bound["spec"]["nodeName"] == "pi-1"
    assert bound["metadata"]["annotations"] == {"x": "y"}
    assert bound["metadata"]["labels"] == {"own": "pod", "zone": "z"}
    assert bound["metadata"]["generation"] == 3
    assert bound["status"]["conditions"] == [
        {"type": "PodScheduled", "status": "True", "observedGeneration": 3, "lastTransitionTime": NOW}
    ]


@pytest.mark.parametrize(
    ("change", "binding", "code", "message"),
    [
        (
            {"spec": {"nodeName": "pi-2"}},
            BINDING,
            409,
            'Operation cannot be fulfilled on pods/binding "a": pod a is already assigned to node "pi-2"',
        ),
        (
            {"metadata": {"deletionTimestamp": NOW}},
            BINDING,
            409,
            'Operation cannot be fulfilled on pods/binding "a": pod a is being deleted, cannot be assigned to a host',
        ),
        (
            {"spec": {"schedulingGates": [{"name": "g"}]}},
            BINDING,
            409,
            'Operation cannot be fulfilled on pods/binding "a": pod a has non-empty .spec.schedulingGates',
        ),
        (
            {},
            {**BINDING, "metadata": {"uid": "other"}},
            409,
            'Operation cannot be fulfilled on pods/binding "a": Precondition failed: UID in precondition: other, UID in'
            " object meta: u",
        ),
        ({}, {"target": {}}, 422, 'Binding "a" is invalid: target.name: Required value'),
        (
            {},
            {"target": {"kind": "Pod", "name": "x"}},
            422,
            'Binding "a" is invalid: target.kind: Unsupported value: "Pod": supported values: "Node", "<empty>"',
        ),
    ],
)
def test_binding_is_refused(change: Object, binding: Object, code: int, message: str) -> None:
    with pytest.raises(ApiError) as caught:
        strategy.bind(_old(**{"spec": {}, **change}), binding, NOW)
    assert (caught.value.code, caught.value.message) == (code, message)


def test_scale() -> None:
    spec = {"replicas": 3, "selector": {"matchLabels": {"app": "web"}}}
    old = _old(metadata={"namespace": "default", "labels": {"x": "y"}}, spec=spec, status={"replicas": 2})
    scale = strategy.get_scale(old)
    assert scale == {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {"name": "a", "namespace": "default", "uid": "u", "resourceVersion": "7", "creationTimestamp": NOW},
        "spec": {"replicas": 3},
        "status": {"replicas": 2, "selector": "app=web"},
    }
    scale["spec"]["replicas"] = 5
    scaled = strategy.apply_scale(old, scale)
    assert (scaled["spec"]["replicas"], scaled["metadata"]["generation"]) == (5, 4)
    assert old["spec"]["replicas"] == 3
    assert strategy.apply_scale(old, {"spec": {"replicas": 3}}) == old
    assert strategy.apply_scale(old, {})["spec"]["replicas"] == 0


def test_a_limit_range_names_itself() -> None:
    unnamed = _created(LIMIT_RANGES, {"metadata": {}, "spec": {"limits": []}})["metadata"]
    assert len(unnamed["name"]) == 36 and unnamed["name"] != unnamed["uid"]
    assert _created(LIMIT_RANGES, {"metadata": {"name": "a"}, "spec": {"limits": []}})["metadata"]["name"] == "a"
