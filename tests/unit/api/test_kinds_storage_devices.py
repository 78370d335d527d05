"""Volumes and their claims, devices and theirs: defaults, refusals, updates."""

from __future__ import annotations

from typing import Any

import pytest
from asked import changed, failures, update_failures, whole

from picluster.api import strategy, validation
from picluster.api.resources import (
    DEVICE_CLASSES,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    RESOURCE_CLAIM_TEMPLATES,
    RESOURCE_CLAIMS,
    RESOURCE_SLICES,
    Resource,
)
from picluster.api.types import Object

VOLUME: Object = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/d"}}
BARE: Object = {field: value for field, value in VOLUME.items() if field != "hostPath"}
CLAIM: Object = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
NOW, LATER, OWN = "2026-01-31T12:00:00Z", "2026-01-31T12:00:09Z", "2026-02-01T00:00:00Z"
GPU: Object = {"name": "gpu", "exactly": {"deviceClassName": "gpu"}}
EITHER: Object = {"name": "any", "firstAvailable": [{"name": "big", "deviceClassName": "gpu"}]}
RESULT: Object = {"request": "gpu", "driver": "d.example.com", "pool": "pi-1", "device": "a"}
SLICE: Object = {"driver": "d.example.com", "nodeName": "pi-1", "pool": {"name": "pi-1", "resourceSliceCount": 1}}
NODES: Object = {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "Exists"}]}]}


def test_defaults_of_a_volume() -> None:
    made = whole(PERSISTENT_VOLUMES, {"spec": {**VOLUME, "capacity": {"storage": "1024Mi"}}})
    assert made["spec"] == {
        **VOLUME, "hostPath": {"path": "/d", "type": ""}, "persistentVolumeReclaimPolicy": "Retain",
        "volumeMode": "Filesystem",
    }  # fmt: skip
    assert made["status"]["phase"] == "Pending" and made["status"]["lastPhaseTransitionTime"]


def test_both_sources_of_data_say_the_same() -> None:
    source = {"kind": "PersistentVolumeClaim", "name": "old"}
    for field in ("dataSource", "dataSourceRef"):
        spec = whole(PERSISTENT_VOLUME_CLAIMS, {"spec": {**CLAIM, field: source}})["spec"]
        assert spec["dataSource"] == spec["dataSourceRef"] == source
    elsewhere = {**source, "namespace": "other"}
    assert "dataSource" not in whole(PERSISTENT_VOLUME_CLAIMS, {"spec": {**CLAIM, "dataSourceRef": elsewhere}})["spec"]


@pytest.mark.parametrize(
    ("resource", "body", "expected"),
    [
        (PERSISTENT_VOLUMES, {"spec": {}},
         ["spec.accessModes: Required value", "spec.capacity: Required value",
          'spec.capacity: Unsupported value: {}: supported values: "storage"',
          "spec: Required value: must specify a volume type"]),
        (PERSISTENT_VOLUMES, {"spec": {**VOLUME, "nfs": {"server": "s", "path": "/"}}},
         ["spec.nfs: Forbidden: may not specify more than 1 volume type"]),
        (PERSISTENT_VOLUMES, {"spec": {**VOLUME, "capacity": {"storage": "0"},
                                       "accessModes": ["ReadWriteOncePod", "ReadWriteOnce"]}},
         ["spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes",
          'spec.capacity[storage]: Invalid value: "0": must be greater than zero']),
        (PERSISTENT_VOLUMES, {"spec": {**VOLUME, "hostPath": {"path": "/"},
                                       "persistentVolumeReclaimPolicy": "Recycle"}},
         ["spec.persistentVolumeReclaimPolicy: Forbidden: may not be 'recycle' for a hostPath mount of '/'"]),
        (PERSISTENT_VOLUMES, {"spec": {**BARE, "local": {"path": "/a/../b"}}},
         ["spec.local.path: Invalid value: \"/a/../b\": must not contain '..'",
          "spec.nodeAffinity: Required value: Local volume requires node affinity"]),
        (PERSISTENT_VOLUMES, {"spec": {**BARE, "csi": {"driver": "D_", "nodeStageSecretRef": {"name": "s"}},
                                       "nodeAffinity": {}}},
         ["spec.nodeAffinity.required: Required value: must specify required node constraints",
          "spec.csi.volumeHandle: Required value",
          'spec.csi.driver: Invalid value: "D_": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric'
          " characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex"
          " used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
          "spec.csi.nodeStageSecretRef.namespace: Required value"]),
        (PERSISTENT_VOLUMES, {"spec": {**VOLUME, "volumeMode": "Odd", "volumeAttributesClassName": "x"}},
         ['spec.volumeMode: Unsupported value: "Odd": supported values: "Block", "Filesystem"',
          "spec.csi: Required value: has to be specified when using volumeAttributesClassName"]),
        (PERSISTENT_VOLUME_CLAIMS, {"spec": {}},
         ["spec.accessModes: Required value: at least 1 access mode is required",
          "spec.resources[storage]: Required value"]),
        (PERSISTENT_VOLUME_CLAIMS, {"spec": {**CLAIM, "dataSource": {"kind": "Snapshot", "name": "x"}}},
         ['spec.dataSource: Invalid value: "Snapshot": must be \'PersistentVolumeClaim\' when referencing the default'
          " apiGroup",
          'spec.dataSourceRef: Invalid value: "Snapshot": must be \'PersistentVolumeClaim\' when referencing the'
          " default apiGroup"]),
    ],
    ids=lambda value: value.id if isinstance(value, Resource) else "",
)  # fmt: skip
def test_storage_that_is_refused(resource: Resource, body: Object, expected: list[str]) -> None:
    assert failures(resource, body) == expected


IMMUTABLE = (
    "spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for"
    " bound claims"
)


@pytest.mark.parametrize(
    ("status", "change", "expected"),
    [
        ({}, {"volumeName": "pv"}, []),
        ({}, {"storageClassName": "fast"}, []),
        ({}, {"accessModes": ["ReadWriteMany"]}, [IMMUTABLE]),
        ({}, {"resources": {"requests": {"storage": "2Gi"}}}, [IMMUTABLE]),
        ({"phase": "Bound"}, {"resources": {"requests": {"storage": "2Gi"}}}, []),
        ({"phase": "Bound", "capacity": {"storage": "1Gi"}}, {"resources": {"requests": {"storage": "1Mi"}}},
         ["spec.resources.requests.storage: Forbidden: field can not be less than status.capacity"]),
        ({"phase": "Bound"}, {"volumeMode": "Block"},
         [IMMUTABLE, 'volumeMode: Invalid value: "Block": field is immutable']),
    ],
)  # fmt: skip
def test_updates_of_claims(status: Object, change: Object, expected: list[str]) -> None:
    old = whole(PERSISTENT_VOLUME_CLAIMS, {"spec": CLAIM})
    old["status"] |= status
    new = {**old, "spec": {**old["spec"], **change}}
    assert [str(failure) for failure in validation.update(PERSISTENT_VOLUME_CLAIMS, new, old)] == expected


def test_a_volume_name_is_written_once() -> None:
    failure = update_failures(
        PERSISTENT_VOLUME_CLAIMS, {"spec": {**CLAIM, "volumeName": "a"}}, {"spec": {"volumeName": "b"}}
    )
    assert failure == [IMMUTABLE]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"spec": {"claimRef": {"name": "c"}, "persistentVolumeReclaimPolicy": "Delete"}}, []),
        ({"spec": {"nodeAffinity": {"required": NODES}}}, []),
        ({"spec": {"hostPath": {"path": "/e"}}},
         ["spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation"]),
        ({"spec": {"volumeMode": "Block"}}, ['volumeMode: Invalid value: "Block": field is immutable']),
    ],
)  # fmt: skip
def test_updates_of_volumes(change: Object, expected: list[str]) -> None:
    assert update_failures(PERSISTENT_VOLUMES, {"spec": VOLUME}, change) == expected


def test_what_a_claims_status_cannot_say() -> None:
    status = {
        "capacity": {"storage": "-1"},
        "allocatedResources": {"cpu": "1"},
        "allocatedResourceStatuses": {"storage": "X"},
    }
    found = update_failures(PERSISTENT_VOLUME_CLAIMS, {"spec": CLAIM}, {"status": status}, status=True)
    assert [failure.partition(":")[0] for failure in found] == [
        "status.capacity[storage]", "status.allocatedResourceStatus", "status.allocatedResources",
    ]  # fmt: skip


def test_a_request_is_for_one_device_unless_it_says_otherwise() -> None:
    requests = whole(RESOURCE_CLAIMS, {"spec": {"devices": {"requests": [GPU, EITHER]}}})["spec"]["devices"]["requests"]
    assert requests[0]["exactly"] == {"deviceClassName": "gpu", "allocationMode": "ExactCount", "count": 1}
    assert requests[1]["firstAvailable"][0]["count"] == 1


REFERENCE = "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"


@pytest.mark.parametrize(
    ("devices", "expected"),
    [
        ({"requests": [GPU, EITHER], "constraints": [{"matchAttribute": "a.example.com/x", "requests": ["any/big"]}],
          "config": [{"opaque": {"driver": "d.example.com", "parameters": {"a": 1}}}]}, []),
        ({"requests": [GPU, GPU]}, ['spec.devices.requests[1]: Duplicate value: "gpu"']),
        ({"requests": [{"name": "x"}]},
         ["spec.devices.requests[0]: Required value: exactly one of `exactly` or `firstAvailable` is required"]),
        ({"requests": [{"name": "x", "exactly": {"allocationMode": "All", "count": 2}}]},
         ["spec.devices.requests[0].exactly.deviceClassName: Required value",
          "spec.devices.requests[0].exactly.count: Invalid value: 2: must not be specified when allocationMode is"
          " 'All'"]),
        ({"requests": [{"name": "x", "exactly": {"deviceClassName": "c", "allocationMode": "Odd"}}]},
         ['spec.devices.requests[0].exactly.allocationMode: Unsupported value: "Odd": supported values: "All",'
          ' "ExactCount"']),
        ({"requests": [GPU], "constraints": [{"requests": ["cpu"], "matchAttribute": "x"}]},
         [f'spec.devices.constraints[0].requests[0]: Invalid value: "cpu": {REFERENCE}',
          'spec.devices.constraints[0].matchAttribute: Invalid value: "x": a fully qualified name must be a domain and'
          " a name separated by a slash"]),
        ({"requests": [GPU], "config": [{}, {"opaque": {"driver": "d"}}]},
         ["spec.devices.config[0].opaque: Required value",
          "spec.devices.config[1].opaque.parameters: Required value"]),
        ({"requests": [{"name": "x", "exactly": {"deviceClassName": "c", "selectors": [{}], "tolerations": [
            {"operator": "Exists", "value": "v", "effect": "Odd"}]}}]},
         ["spec.devices.requests[0].exactly.selectors[0].cel: Required value",
          'spec.devices.requests[0].exactly.tolerations[0].value: Invalid value: "v": must be empty for operator'
          " `Exists`",
          'spec.devices.requests[0].exactly.tolerations[0].effect: Unsupported value: "Odd": supported values:'
          ' "NoExecute", "NoSchedule"']),
        ({"requests": [{**GPU, "name": f"r{index}"} for index in range(33)]},
         ["spec.devices.requests: Too many: 33: must have at most 32 items"]),
    ],
)  # fmt: skip
def test_claims_of_devices(devices: Object, expected: list[str]) -> None:
    assert failures(RESOURCE_CLAIMS, {"spec": {"devices": devices}}) == expected
    in_template = failures(RESOURCE_CLAIM_TEMPLATES, {"spec": {"spec": {"devices": devices}}})
    assert in_template == [failure.replace("spec.", "spec.spec.", 1) for failure in expected]


def test_classes_of_devices() -> None:
    assert failures(DEVICE_CLASSES, {"spec": {"extendedResourceName": "example.com/gpu"}}) == []
    assert failures(DEVICE_CLASSES, {"spec": {"extendedResourceName": "cpu"}}) == [
        'spec.extendedResourceName: Invalid value: "cpu": must be a valid extended resource name'
    ]


@pytest.mark.parametrize(
    ("expression", "objection"),
    [
        ("device.driver == 'd.example.com'", ""),
        ("device.attributes['d.example.com'].model == 'a'", ""),
        ("device.capacity['d.example.com'].memory.compareTo(quantity('1Gi')) >= 0", ""),
        ("device.attributes['d.example.com'].healthy", ""),
        ("devices.driver == 'x'", "undeclared reference to 'devices'"),
        ("device.driver", "must evaluate to bool or the unknown type, not string"),
        ("device.driver ==", "Syntax error"),
    ],
)  # fmt: skip
def test_selectors_of_devices(expression: str, objection: str) -> None:
    found = failures(DEVICE_CLASSES, {"spec": {"selectors": [{"cel": {"expression": expression}}]}})
    assert len(found) == (1 if objection else 0), found
    assert all(text.startswith("spec.selectors[0].cel.expression: Invalid") and objection in text for text in found)


def allocated(*results: Object, **status: Any) -> Object:
    return {"allocation": {"devices": {"results": list(results)}}, **status}


CONSUMER: Object = {"resource": "pods", "name": "web", "uid": "u"}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (allocated(RESULT, reservedFor=[CONSUMER]), []),
        ({"reservedFor": [CONSUMER]},
         ["status.reservedFor: Forbidden: may not be specified when `allocated` is not set"]),
        (allocated(RESULT, reservedFor=[CONSUMER, {**CONSUMER, "name": ""}]),
         ["status.reservedFor[1].name: Required value", 'status.reservedFor[1]: Duplicate value: "u"']),
        (allocated({**RESULT, "request": "x", "shareID": "X"}),
         [f'status.allocation.devices.results[0].request: Invalid value: "x": {REFERENCE}',
          'status.allocation.devices.results[0].shareID: Invalid value: "X": error validating uid: badly formed'
          " hexadecimal UUID string"]),
        (allocated(RESULT, devices=[{"driver": "d.example.com", "pool": "pi-1", "device": "b"}]),
         ['status.devices[0]: Invalid value: "d.example.com/pi-1/b": must be an allocated device in the claim']),
    ],
)  # fmt: skip
def test_statuses_of_claims(status: Object, expected: list[str]) -> None:
    assert (
        update_failures(RESOURCE_CLAIMS, {"spec": {"devices": {"requests": [GPU]}}}, {"status": status}, status=True)
        == expected
    )


def test_with_an_allocation_goes_what_was_said_of_its_devices() -> None:
    claim = {"spec": {"devices": {"requests": [GPU]}}, "metadata": {"labels": {"a": "b"}}}
    device = {field: RESULT[field] for field in ("driver", "pool", "device")}
    old = changed(RESOURCE_CLAIMS, claim, {"status": allocated(RESULT, devices=[device])}, "status")
    new = {**old, "metadata": {**old["metadata"], "labels": {}}, "status": {"devices": [device]}}
    freed = strategy.prepare_update(RESOURCE_CLAIMS, new, old, "status")
    assert freed["status"] == {} and freed["metadata"]["labels"] == {"a": "b"}


ONE_OF = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"devices": [{"name": "a", "attributes": {"model": {"string": "x"}, "v": {"version": "1.2.3-rc.1"}},
                       "capacity": {"memory": {"value": "1Gi"}}}]}, []),
        ({"nodeName": None}, [f"spec: Required value: {ONE_OF}"]),
        ({"allNodes": True},
         [f'spec: Invalid value: "{{`nodeName`, `allNodes`}}": {ONE_OF}, but multiple fields are set']),
        ({"pool": {}}, ["spec.pool.name: Required value",
                        "spec.pool.resourceSliceCount: Invalid value: 0: must be greater than zero"]),
        ({"devices": [], "sharedCounters": []},
         ['spec: Invalid value: "": only one of `sharedCounters` or `devices` is allowed']),
        ({"devices": [{"name": "a"}, {"name": "a"}]}, ['spec.devices[1]: Duplicate value: "a"']),
        ({"devices": [{"name": "a", "allNodes": True}]},
         ["spec.devices[0]: Invalid value: \"null\": `nodeName`, `nodeSelector` and `allNodes` can only be set if"
          " `perDeviceNodeSelection` is set to true in the ResourceSlice spec"]),
        ({"devices": [{"name": "a", "attributes": {"x": {}, "y": {"version": "one"}, "z": {"ints": []}}}]},
         ['spec.devices[0].attributes[x]: Invalid value: "": exactly one value must be specified',
          'spec.devices[0].attributes[y].version: Invalid value: "one": must be a string compatible with semver.org'
          " spec 2.0.0",
          "spec.devices[0].attributes[z].ints: Invalid value: []: must not be empty if specified"]),
        ({"devices": [{"name": "a", "taints": [{"key": "k", "effect": "Odd"}]}]},
         ['spec.devices[0].taints[0].effect: Unsupported value: "Odd": supported values: "NoExecute", "NoSchedule",'
          ' "None"']),
        ({"devices": [{"name": "a", "capacity": {"memory": {"value": "1Gi", "requestPolicy": {"default": "1Mi"}}}}]},
         ["spec.devices[0].capacity[memory].requestPolicy: Forbidden: allowMultipleAllocations must be true"]),
        ({"sharedCounters": [{"name": "c"}]}, ["spec.sharedCounters[0].counters: Required value"]),
        ({"devices": [{"name": f"d{index}", "taints": [{"key": "k", "effect": "NoSchedule"}]} for index in range(65)]},
         ["spec.devices: Too many: 65: must have at most 64 items"]),
        ({"devices": [{"name": "a", "bindingConditions": ["Attached"]}]},
         ["spec.devices[0].bindingFailureConditions: Invalid value: []: bindingFailureConditions are required to use"
          " bindingConditions"]),
    ],
)  # fmt: skip
def test_slices_of_devices(spec: Object, expected: list[str]) -> None:
    merged = {field: value for field, value in {**SLICE, **spec}.items() if value is not None}
    assert failures(RESOURCE_SLICES, {"spec": merged}) == expected


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ({"default": "1Gi", "validRange": {"min": "1Gi", "max": "4Gi", "step": "1Gi"}}, []),
        ({"default": "1Gi", "validValues": ["1Gi", "2Gi"]}, []),
        ({"validRange": {"min": "1Gi"}}, ["default: Required value: required when validRange is defined"]),
        ({"default": "1Gi", "validValues": ["2Gi", "1Mi"]},
         ['validValues[1]: Invalid value: "1Mi": values must be sorted in ascending order',
          'validValues: Invalid value: "1Gi": default value is not valid according to the requestPolicy']),
        ({"default": "1Mi", "validRange": {"min": "1Gi", "max": "16Gi"}},
         ['validRange.default: Invalid value: "1Mi": default is less than min: 1Gi',
          'validRange.max: Invalid value: "16Gi": max is larger than capacity value: 8Gi']),
        ({"default": "2Gi", "validRange": {"min": "1Gi", "step": "3Gi"}},
         ['validRange.step: Invalid value: "2Gi": value is not a multiple of a given step (3Gi) from (1Gi)']),
    ],
)  # fmt: skip
def test_capacities_that_are_shared(policy: Object, expected: list[str]) -> None:
    capacity = {"memory": {"value": "8Gi", "requestPolicy": policy}}
    device = {"name": "a", "allowMultipleAllocations": True, "capacity": capacity}
    start = "spec.devices[0].capacity[memory].requestPolicy."
    assert failures(RESOURCE_SLICES, {"spec": {**SLICE, "devices": [device]}}) == [start + text for text in expected]


@pytest.mark.parametrize(
    ("phase", "said", "since"),
    [("Pending", NOW, NOW), ("Pending", None, NOW), ("Bound", NOW, LATER), ("Bound", None, LATER), ("Bound", OWN, OWN)],
)
def test_a_volume_says_since_when_it_has_its_phase(phase: str, said: str | None, since: str) -> None:
    old = whole(PERSISTENT_VOLUMES, {"spec": VOLUME})
    new = {**old, "status": {"phase": phase, **({"lastPhaseTransitionTime": said} if said else {})}}
    strategy.stamp(PERSISTENT_VOLUMES, new, old, LATER)
    assert new["status"]["lastPhaseTransitionTime"] == since


def test_a_taint_of_a_device_says_since_when_it_is_there() -> None:
    taint = {"key": "k", "effect": "NoSchedule"}
    old = whole(RESOURCE_SLICES, {"spec": {**SLICE, "devices": [{"name": "a", "taints": [taint]}]}})
    assert old["spec"]["devices"][0]["taints"][0]["timeAdded"] == NOW
    new = {**old, "spec": {**old["spec"], "devices": [{"name": "a", "taints": [dict(taint), {**taint, "key": "x"}]}]}}
    strategy.stamp(RESOURCE_SLICES, new, old, LATER)
    assert [found["timeAdded"] for found in new["spec"]["devices"][0]["taints"]] == [NOW, LATER]
