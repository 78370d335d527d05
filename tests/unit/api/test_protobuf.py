"""Protobuf bodies: what real clients sent, whatever a client may send, and what nobody should."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import protobuf_encode as wire
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picluster.api import protobuf
from picluster.api.resources import (
    BODIES,
    CONFIGMAPS,
    DELETE_OPTIONS,
    DEPLOYMENTS,
    LEASES,
    NODES,
    PODS,
    RESOURCES,
    SECRETS,
    Resource,
)
from picluster.api.schemas import data, numbers
from picluster.api.types import Object

KINDS = (*RESOURCES, *BODIES)
CORE = "io.k8s.api.core.v1."
META = "io.k8s.apimachinery.pkg.apis.meta.v1."
RESOURCE = "io.k8s.api.resource.v1."
EXTENSIONS = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1."

NAMESPACE = bytes.fromhex(
    "6b3873000a0f0a02763112094e616d65737061636512190a110a016712001a0022002a0032003800420012001a020a001a002200"
)  # kubectl create namespace g
SECRET = bytes.fromhex(
    "6b3873000a0c0a0276311206536563726574122f0a160a056c6f67696e12001a016722002a0032003800420012130a0870617373776f"
    "7264120768756e746572321a001a002200"
)  # kubectl -n g create secret generic login --from-literal=password=hunter2
DEPLOYMENT = bytes.fromhex(
    "6b3873000a150a07617070732f7631120a4465706c6f796d656e7412b8010a200a0377656212001a016722002a003200380042005a0a"
    "0a0361707012037765621285010802120c0a0a0a0361707012037765621a6b0a1c0a0012001a0022002a003200380042005a0a0a0361"
    "70701203776562124b122d0a0377656212057765623a312a00320b0a00100018903f22002a0042006a007200800100880100900100a2"
    "01001a00320042004a0052005800600068008201008a01009a0100c2010022020a00280038001a0c0800100018002000280038001a00"
    "2200"
)  # kubectl -n g create deployment web --image=web:1 --replicas=2 --port=8080
SERVICE = bytes.fromhex(
    "6b3873000a0d0a02763112075365727669636512690a200a0377656212001a016722002a003200380042005a0a0a0361707012037765"
    "6212410a1b0a0738302d38303830120354435018502207080010903f1a002800120a0a0361707012037765621a0022084e6f6465506f"
    "72743a00420052005a00600068001a020a001a002200"
)  # kubectl -n g create service nodeport web --tcp=80:8080


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "g"}}),
        (
            SECRET,
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "login", "namespace": "g"},
                "data": {"password": "aHVudGVyMg=="},
            },
        ),
        (
            DEPLOYMENT,
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": "web", "namespace": "g", "labels": {"app": "web"}},
                "spec": {
                    "replicas": 2,
                    "selector": {"matchLabels": {"app": "web"}},
                    "template": {
                        "metadata": {"labels": {"app": "web"}},
                        "spec": {"containers": [{"name": "web", "image": "web:1", "ports": [{"containerPort": 8080}]}]},
                    },
                },
            },
        ),
        (
            SERVICE,
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": "web", "namespace": "g", "labels": {"app": "web"}},
                "spec": {
                    "type": "NodePort",
                    "selector": {"app": "web"},
                    "ports": [{"name": "80-8080", "protocol": "TCP", "port": 80, "targetPort": 8080}],
                },
            },
        ),
    ],
    ids=["namespace", "secret", "deployment", "service"],
)
def test_what_kubectl_1_33_sends(body: bytes, expected: Object) -> None:
    assert protobuf.decode(body, CONFIGMAPS) == expected


@settings(max_examples=500)
@given(st.data())
def test_every_kind_survives_the_wire(objects_of: Callable[[str], st.SearchStrategy[Any]], data: st.DataObject) -> None:
    resource = data.draw(st.sampled_from(KINDS))
    obj = data.draw(objects_of(resource.schema))
    types = {"apiVersion": resource.api_version, "kind": resource.kind}
    assert protobuf.decode(wire.body(resource, obj), PODS) == {**types, **as_go_says_it(resource.schema, obj)}


def as_go_says_it(name: str, obj: Object) -> Object:
    """The object without what a Go client leaves out of JSON, and with the zeros that it does not."""
    definition, message = data.definitions()[name], numbers.messages()[name]
    said: Object = {}
    for field in message["numbers"]:
        node, value = definition["properties"][field], obj.get(field)
        if field in message["pointers"]:
            if field in obj:
                said[field] = go_value(node, value)
        elif field in definition.get("required", ()) or go_value(node, value) != zero(node):
            said[field] = go_value(node, value)
    return {field: value for field, value in said.items() if value is not None}


def go_value(node: Object, value: Any) -> Any:
    """A value that may be None for unset, and then is its type's zero; None for what JSON leaves out."""
    name = data.target(node)
    if value is None and (name is None or name in (data.QUANTITY, data.INT_OR_STRING)):
        return zero(node)
    if name in (data.TIME, data.MICRO_TIME, data.FIELDS_V1, data.RAW_EXTENSION, data.QUANTITY, data.INT_OR_STRING):
        return value
    if name in data.UNTYPED:
        return untyped(name, value)
    if name is not None:
        return as_go_says_it(name, value or {})
    if node["type"] == "array":
        return [go_value(node["items"], element) for element in value] or None
    if node["type"] == "object":
        values = node["additionalProperties"]
        absent: Any = [] if values.get("type") == "array" else None
        found = {key: go_value(values, child) for key, child in value.items()}
        return {key: absent if child is None else child for key, child in found.items()} or None
    return value


def untyped(name: str, value: Any) -> Any:
    if name == data.JSON or value is None or isinstance(value, bool):
        return value
    if isinstance(value, dict):
        return as_go_says_it(data.JSON_SCHEMA, value)
    return value if name == data.JSON_SCHEMA_OR_STRINGS else [as_go_says_it(data.JSON_SCHEMA, one) for one in value]


def zero(node: Object) -> Any:
    name = data.target(node)
    if name is not None:
        return {data.QUANTITY: "0", data.INT_OR_STRING: 0, data.RAW_EXTENSION: None}.get(name, {})
    return {"array": None, "object": None, "integer": 0, "boolean": False, "string": ""}[node["type"]]


UNNUMBERED = {
    CORE + "NodeStatus": {"declaredFeatures"},
    CORE + "PodSpec": {"schedulingGroup"},
    CORE + "PodStatus": {
        "allocatedResources",
        "extendedResourceClaimStatus",
        "nodeAllocatableResourceClaimStatuses",
        "resources",
    },
    CORE + "ResourceHealth": {"message"},
    CORE + "VolumeMountStatus": {"volumeStatus"},
    META + "ListMeta": {"shardInfo"},
    RESOURCE + "Device": {"nodeAllocatableResourceMappings"},
    RESOURCE + "DeviceAttribute": {"bools", "ints", "strings", "versions"},
    EXTENSIONS + "CustomResourceDefinitionCondition": {"observedGeneration"},
    EXTENSIONS + "CustomResourceDefinitionStatus": {"observedGeneration"},
    "io.k8s.api.storage.v1.CSIDriverSpec": {"preventPodSchedulingIfMissing"},
    **dict.fromkeys(
        [
            CORE + "ContainerExtendedResourceRequest",
            CORE + "ImageVolumeStatus",
            CORE + "NodeAllocatableResourceClaimStatus",
            CORE + "PodExtendedResourceClaimStatus",
            CORE + "PodSchedulingGroup",
            CORE + "VolumeStatus",
            META + "ShardInfo",
            RESOURCE + "NodeAllocatableResourceMapping",
            "io.k8s.apimachinery.pkg.version.Info",
        ]
    ),
}
"""Fields of 1.34 to 1.36 whose numbers are not known here; whole messages below them; and one that has no protobuf."""


def test_every_field_has_a_number() -> None:
    missing: dict[str, set[str] | None] = {}
    for name, definition in data.definitions().items():
        if "properties" not in definition:
            continue
        message = numbers.messages().get(name)
        if message is None:
            missing[name] = None
            continue
        types = {"apiVersion", "kind"} if "x-kubernetes-group-version-kind" in definition else set()
        without = set(definition["properties"]) - types - set(message["numbers"])
        assert set(message["numbers"]) <= set(definition["properties"]), name
        assert set(message["pointers"]) <= set(message["numbers"]), name
        if without:
            missing[name] = without
    assert missing == UNNUMBERED


def test_no_number_means_two_fields() -> None:
    for name, message in numbers.messages().items():
        paths = [tuple(path) if isinstance(path, list) else (path,) for path in message["numbers"].values()]
        assert len(set(paths)) == len(paths), name
        assert not {path[:1] for path in paths if len(path) > 1} & {path for path in paths if len(path) == 1}, name


@pytest.mark.parametrize("resource", KINDS, ids=lambda resource: resource.id or resource.kind)
def test_no_kind_contains_itself(resource: Resource) -> None:
    """So that the depth of a message is bounded by the definitions; only JSON schemas are as deep as one likes."""

    def walk(name: str, above: tuple[str, ...]) -> None:
        if name == data.JSON_SCHEMA:
            return
        assert name not in above
        for child in data.definitions()[name].get("properties", {}).values():
            while "items" in child or isinstance(child.get("additionalProperties"), dict):
                child = child.get("items") or child["additionalProperties"]
            target = data.target(child)
            if target is not None:
                walk(target, (*above, name))

    walk(resource.schema, ())


def pod_with(spec: bytes) -> bytes:
    return wire.envelope("v1", "Pod", wire.chunk(2, spec))


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (wire.number_field(4, 0), {"terminationGracePeriodSeconds": 0}),
        (wire.number_field(4, -1), {"terminationGracePeriodSeconds": -1}),
        (wire.number_field(4, 2**63 - 1), {"terminationGracePeriodSeconds": 2**63 - 1}),
        (wire.number_field(4, -(2**63)), {"terminationGracePeriodSeconds": -(2**63)}),
        (wire.number_field(25, -5), {"priority": -5}),
        (wire.number_field(25, 2**32 - 5), {"priority": -5}),
        (wire.number_field(21, 0), {"automountServiceAccountToken": False}),
        (wire.number_field(11, 0), None),
        (wire.number_field(11, 1), {"hostNetwork": True}),
        (wire.text(10, ""), None),
        (wire.text(10, "a") + wire.text(10, "b"), {"nodeName": "b"}),
        (wire.text(10, "a") + wire.text(10, ""), None),
        (
            wire.chunk(1, wire.text(1, "v") + wire.chunk(2, wire.chunk(2, b""))),
            {"volumes": [{"name": "v", "emptyDir": {}}]},
        ),
        (wire.chunk(14, b""), {"securityContext": {}}),
        (
            wire.chunk(14, wire.number_field(4, 1) + wire.number_field(4, 2)),
            {"securityContext": {"supplementalGroups": [1, 2]}},
        ),
        (
            wire.chunk(14, wire.chunk(4, wire.varint(1) + wire.varint(300))),
            {"securityContext": {"supplementalGroups": [1, 300]}},
        ),
        (
            wire.chunk(14, wire.number_field(2, 1)) + wire.chunk(14, wire.number_field(3, 0)),
            {"securityContext": {"runAsUser": 1, "runAsNonRoot": False}},
        ),
        (wire.chunk(7, b""), {"nodeSelector": {"": ""}}),
        (wire.chunk(7, wire.text(1, "a")), {"nodeSelector": {"a": ""}}),
        (wire.chunk(32, wire.text(1, "cpu") + wire.chunk(2, b"")), {"overhead": {"cpu": "0"}}),
        (wire.text(9999, "later") + wire.number_field(9998, 1), None),
        (wire.varint(9997 << 3 | 5) + b"1234" + wire.varint(9997 << 3 | 1) + b"12345678", None),
    ],
)  # fmt: skip
def test_fields(spec: bytes, expected: Object | None) -> None:
    types = {"apiVersion": "v1", "kind": "Pod"}
    assert protobuf.decode(pod_with(spec), PODS) == ({**types, "spec": expected} if expected else types)


def test_lists_in_maps_are_wrapped() -> None:
    extra = wire.text(1, "scopes") + wire.chunk(2, wire.text(1, "a") + wire.text(1, "b"))
    empty = wire.text(1, "none") + wire.chunk(2, b"")
    spec = wire.text(3, "ann") + wire.chunk(5, extra) + wire.chunk(5, empty)
    body = wire.envelope("authorization.k8s.io/v1", "SubjectAccessReview", wire.chunk(2, spec))
    assert protobuf.decode(body, PODS)["spec"] == {"user": "ann", "extra": {"scopes": ["a", "b"], "none": []}}


def crd_with(schema: bytes) -> bytes:
    version = wire.text(1, "v1") + wire.chunk(4, wire.chunk(1, schema))
    return wire.envelope("apiextensions.k8s.io/v1", "CustomResourceDefinition", wire.chunk(2, wire.chunk(7, version)))


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (wire.double(9, 1.5) + wire.double(11, -3), {"maximum": 1.5, "minimum": -3}),
        (wire.chunk(8, wire.chunk(1, b'{"a":[null,1]}')), {"default": {"a": [None, 1]}}),
        (wire.chunk(8, b""), {}),
        (wire.chunk(20, wire.chunk(1, b"null")) + wire.chunk(20, wire.chunk(1, b'"a"')), {"enum": [None, "a"]}),
        (wire.chunk(24, wire.chunk(1, wire.text(5, "string"))), {"items": {"type": "string"}}),
        (wire.chunk(24, wire.chunk(2, b"") + wire.chunk(2, wire.text(5, "a"))), {"items": [{}, {"type": "a"}]}),
        (wire.chunk(30, wire.number_field(1, 0)), {"additionalProperties": False}),
        (wire.chunk(30, wire.number_field(1, 1)), {"additionalProperties": True}),
        (wire.chunk(30, wire.number_field(1, 1) + wire.chunk(2, b"")), {"additionalProperties": {}}),
        (
            wire.chunk(32, wire.text(1, "a") + wire.chunk(2, wire.text(2, "b") + wire.text(2, "c"))),
            {"dependencies": {"a": ["b", "c"]}},
        ),
        (wire.number_field(38, 1), {"x-kubernetes-preserve-unknown-fields": True}),
    ],
)
def test_json_schemas(schema: bytes, expected: Object) -> None:
    versions = protobuf.decode(crd_with(schema), PODS)["spec"]["versions"]
    assert versions == [{"name": "v1", "schema": {"openAPIV3Schema": expected}}]


def test_a_json_schema_has_a_greatest_depth() -> None:
    schema = b""
    for _ in range(2000):
        schema = wire.chunk(28, schema)
    with pytest.raises(ValueError, match="exceeded max depth"):
        protobuf.decode(crd_with(schema), PODS)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_json_cannot_say_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="json: unsupported value"):
        protobuf.decode(crd_with(wire.double(9, value)), PODS)


def lease_with(spec: bytes) -> bytes:
    return wire.envelope("coordination.k8s.io/v1", "Lease", wire.chunk(2, spec))


@pytest.mark.parametrize(
    ("seconds", "nanos", "expected"),
    [
        (0, 0, "1970-01-01T00:00:00.000000Z"),
        (-1, 999_999_999, "1969-12-31T23:59:59.999999Z"),
        (1_769_860_800, 250_000_000, "2026-01-31T12:00:00.250000Z"),
    ],
)
def test_micro_times(seconds: int, nanos: int, expected: str) -> None:
    time = wire.number_field(1, seconds) + wire.number_field(2, nanos)
    assert protobuf.decode(lease_with(wire.chunk(4, time)), LEASES)["spec"] == {"renewTime": expected}


def test_a_time_has_whole_seconds_and_the_zero_time_is_none() -> None:
    time = wire.number_field(1, 1_769_860_800) + wire.number_field(2, 1)
    metadata = wire.chunk(8, time) + wire.chunk(9, b"")
    obj = protobuf.decode(wire.envelope("v1", "ConfigMap", wire.chunk(1, metadata)), CONFIGMAPS)
    assert obj["metadata"] == {"creationTimestamp": "2026-01-31T12:00:00Z"}


def test_bytes_are_base64_and_field_sets_are_json() -> None:
    entry = wire.text(1, "key") + wire.chunk(2, b"\x00\xff")
    managed = wire.text(1, "kubectl") + wire.chunk(7, wire.chunk(1, b'{"f:data":{}}'))
    raw = wire.chunk(1, wire.chunk(17, managed)) + wire.chunk(2, entry)
    obj = protobuf.decode(wire.envelope("v1", "Secret", raw), SECRETS)
    assert obj["data"] == {"key": "AP8="}
    assert obj["metadata"]["managedFields"] == [{"manager": "kubectl", "fieldsV1": {"f:data": {}}}]


def test_the_default_stands_in_for_what_the_envelope_does_not_say() -> None:
    options = wire.number_field(1, 0)
    assert protobuf.decode(wire.envelope("", "", options), DELETE_OPTIONS) == {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "gracePeriodSeconds": 0,
    }
    assert protobuf.decode(wire.envelope("apps/v1", "DeleteOptions", options), DEPLOYMENTS)["gracePeriodSeconds"] == 0
    eviction = wire.chunk(1, wire.text(1, "p")) + wire.chunk(2, options)
    assert protobuf.decode(wire.envelope("policy/v1", "Eviction", eviction), PODS) == {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": "p"},
        "deleteOptions": {"gracePeriodSeconds": 0},
    }


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "empty data"),
        (b"k8s\x00", "empty body"),
        (b"k8s", "does not appear to be a protobuf message, expected prefix [107 56 115 0]"),
        (b'{"kind":"Pod"}', "does not appear to be a protobuf message"),
        (wire.envelope("v1", "Jobs", b""), 'no kind "Jobs" is registered for version "v1"'),
        (wire.envelope("apps/v1", "Pod", b""), 'no kind "Pod" is registered for version "apps/v1"'),
        (wire.envelope("v1", "Pod", b"", "gzip"), 'unsupported content encoding "gzip"'),
        (NAMESPACE[:-6], "unexpected EOF"),
        (wire.MAGIC + b"\x80", "unexpected EOF"),
        (wire.MAGIC + b"\x80" * 10 + b"\x01", "proto: integer overflow"),
        (wire.MAGIC + wire.number_field(1, 1), "proto: wrong wireType = 0 for field 1"),
        (wire.MAGIC + wire.chunk(0, b""), "proto: illegal tag 0 (wire type 2)"),
        (wire.MAGIC + b"\x0b", "proto: illegal wireType 3"),
        (wire.MAGIC + b"\x0d\x00", "unexpected EOF"),
        (pod_with(wire.number_field(10, 1)), "proto: wrong wireType = 0 for field nodeName"),
        (pod_with(wire.chunk(4, b"1")), "proto: wrong wireType = 2 for field terminationGracePeriodSeconds"),
        (pod_with(wire.chunk(1, wire.number_field(2, 1))), "proto: wrong wireType = 0 for field 2"),
        (pod_with(wire.chunk(7, wire.number_field(1, 1))), "proto: wrong wireType = 0 for field 1"),
        (pod_with(wire.chunk(7, wire.number_field(2, 1))), "proto: wrong wireType = 0 for the value of a map"),
        (pod_with(wire.chunk(32, wire.chunk(2, wire.number_field(1, 1)))), "proto: wrong wireType = 0 for field 1"),
        (pod_with(wire.chunk(10, b"\xff")), "a string is not valid UTF-8"),
        (pod_with(wire.chunk(14, wire.chunk(4, b"\x80"))), "unexpected EOF"),
        (lease_with(wire.chunk(4, wire.chunk(1, b""))), "proto: wrong wireType = 2 for field 1"),
        (lease_with(wire.chunk(4, wire.number_field(2, -1))), "a time has nanoseconds out of range"),
        (lease_with(wire.chunk(4, wire.number_field(1, 2**62))), "a time is outside of the years 1 to 9999"),
    ],
)
def test_what_cannot_be_read_is_refused_in_a_sentence(body: bytes, message: str) -> None:
    with pytest.raises(ValueError) as refused:
        protobuf.decode(body, PODS)
    assert message in str(refused.value)


@given(body=st.binary(max_size=200), prefix=st.sampled_from([b"", wire.MAGIC]))
def test_any_bytes_are_read_or_refused(body: bytes, prefix: bytes) -> None:
    read_or_refused(prefix + body)


@given(st.data())
def test_damaged_bodies_are_read_or_refused(data: st.DataObject) -> None:
    body = bytearray(data.draw(st.sampled_from([NAMESPACE, SECRET, DEPLOYMENT, SERVICE])))
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(4, len(body) - 1))] = data.draw(st.integers(0, 255))
    read_or_refused(bytes(body[: data.draw(st.integers(4, len(body)))]))


def read_or_refused(body: bytes) -> None:
    try:
        obj = protobuf.decode(body, NODES)
    except ValueError as error:
        assert str(error)
    else:
        assert set(obj) >= {"apiVersion", "kind"}
