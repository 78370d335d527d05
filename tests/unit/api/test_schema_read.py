"""Reading objects: wrong types, unknown fields, nulls, duplicates."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picluster.api import errors, schema
from picluster.api.errors import ApiError
from picluster.api.resources import (
    BODIES,
    CONFIGMAPS,
    CONTROLLER_REVISIONS,
    CUSTOM_RESOURCE_DEFINITIONS,
    DEPLOYMENTS,
    LEASES,
    NODES,
    PODS,
    RESOURCES,
    SECRETS,
    SERVICES,
    Resource,
)
from picluster.api.schemas import compiled
from picluster.api.types import Object

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def _container(**fields: Any) -> Object:
    return {"spec": {"containers": [fields]}}


@pytest.mark.parametrize(
    ("resource", "obj", "why"),
    [
        (
            DEPLOYMENTS,
            {"spec": {"replicas": "3"}},
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            DEPLOYMENTS,
            {"spec": {"replicas": 1.5}},
            "json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            DEPLOYMENTS,
            {"spec": {"replicas": 2**31}},
            "json: cannot unmarshal number 2147483648 into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            DEPLOYMENTS,
            {"spec": {"template": {"spec": {"containers": [{"env": [{"name": "A", "value": 1}]}]}}}},
            "json: cannot unmarshal number into Go struct field EnvVar.spec.template.spec.containers.env.value of type"
            " string",
        ),
        (
            PODS,
            {"spec": {"containers": {}}},
            "json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container",
        ),
        (
            PODS,
            {"spec": []},
            "json: cannot unmarshal array into Go struct field Pod.spec of type v1.PodSpec",
        ),
        (
            PODS,
            {"metadata": {"labels": {"a": True}}},
            "json: cannot unmarshal bool into Go struct field ObjectMeta.metadata.labels of type string",
        ),
        (
            PODS,
            {"metadata": {"labels": "x"}},
            "json: cannot unmarshal string into Go struct field ObjectMeta.metadata.labels of type map[string]string",
        ),
        (
            PODS,
            {"spec": {"hostNetwork": "yes"}},
            "json: cannot unmarshal string into Go struct field PodSpec.spec.hostNetwork of type bool",
        ),
        (
            PODS,
            _container(resources={"limits": {"cpu": "1x"}}),
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        ),
        (PODS, _container(resources={"limits": {"cpu": "1ii"}}), "unable to parse quantity's suffix"),
        (PODS, _container(resources={"limits": {"cpu": "1.2.3"}}), "unable to parse numeric part of quantity"),
        (
            PODS,
            {"metadata": {"creationTimestamp": "today"}},
            'parsing time "today" as "2006-01-02T15:04:05Z07:00": cannot parse "today" as "2006"',
        ),
        (
            PODS,
            {"metadata": {"deletionTimestamp": "2026-02-30T00:00:00Z"}},
            'parsing time "2026-02-30T00:00:00Z": day out of range',
        ),
        (SECRETS, {"data": {"a": "ab!c"}}, "illegal base64 data at input byte 2"),
        (SECRETS, {"data": {"a": "abc"}}, "illegal base64 data at input byte 0"),
        (
            SERVICES,
            {"spec": {"ports": [{"targetPort": True}]}},
            "json: cannot unmarshal bool into Go struct field ServicePort.spec.ports.targetPort of type int32",
        ),
        (SECRETS, [], "json: cannot unmarshal array into Go value of type v1.Secret"),
    ],
)
def test_wrong_types_are_refused_in_the_decoders_words(resource: Resource, obj: Any, why: str) -> None:
    with pytest.raises(ApiError) as caught:
        schema.check(resource, obj)
    assert caught.value.code == 400
    assert caught.value.reason == "BadRequest"
    version = f'in version "{resource.version}" cannot be handled as a {resource.kind}'
    assert caught.value.message == f"{resource.kind} {version}: {why}"
    with pytest.raises(ApiError):
        schema.conform(resource, deepcopy(obj))


def test_unknown_fields_are_named_and_dropped(pod: Object) -> None:
    clean = deepcopy(pod)
    pod["spec"]["containers"][0]["foo"] = {"bar": 1}
    pod["spec"]["containers"][0]["ports"][0]["nope"] = None
    pod["metadata"]["Labels"] = {}
    pod["extra"] = []
    unknown = [
        "metadata.Labels",
        "spec.containers[0].ports[0].nope",
        "spec.containers[0].foo",
        "extra",
    ]
    assert schema.unknown_fields(PODS, pod) == unknown
    schema.check(PODS, pod)
    assert schema.conform(PODS, pod) == unknown
    assert pod == clean
    assert schema.unknown_fields(PODS, pod) == []


def test_strict_refusals_name_everything() -> None:
    error = schema.strict_error(DEPLOYMENTS, schema.complaints(DEPLOYMENTS, ["spec.foo"], ["spec.replicas"], None))
    assert error.code == 400
    assert error.message == (
        'Deployment in version "v1" cannot be handled as a Deployment: strict decoding error:'
        ' duplicate field "spec.replicas", unknown field "spec.foo"'
    )


def test_null_is_absence_and_in_lists_and_maps_the_zero_value() -> None:
    obj: Object = {
        "metadata": {"name": "a", "labels": {"x": None}, "creationTimestamp": None, "annotations": None},
        "spec": {
            "nodeName": None,
            "containers": [None, {"name": "a", "args": ["x", None], "resources": {"limits": {"cpu": None}}}],
        },
        "status": None,
    }
    assert schema.conform(PODS, obj) == []
    assert obj == {
        "metadata": {"name": "a", "labels": {"x": ""}},
        "spec": {"containers": [{}, {"name": "a", "args": ["x", ""], "resources": {"limits": {"cpu": "0"}}}]},
    }


def test_what_is_omitted_when_empty_is_absent() -> None:
    metadata: Object = {"name": "a", "labels": {}, "annotations": {}, "finalizers": [], "ownerReferences": []}
    obj: Object = {"metadata": metadata, "data": {}, "binaryData": {}}
    assert schema.conform(CONFIGMAPS, obj) == []
    assert obj == {"metadata": {"name": "a"}}
    container: Object = {"name": "a", "env": [], "resources": {"limits": {}}, "securityContext": {}}
    pod: Object = {"metadata": {"name": "a", "managedFields": []}, "spec": {"containers": [container], "volumes": []}}
    schema.conform(PODS, pod)
    container = {"name": "a", "resources": {}, "securityContext": {}}
    assert pod == {"metadata": {"name": "a", "managedFields": []}, "spec": {"containers": [container]}}


def test_times_and_bytes_come_out_in_one_form() -> None:
    lease: Object = {"spec": {"renewTime": "2026-01-31T13:00:00.5+01:00"}}
    schema.conform(LEASES, lease)
    assert lease["spec"]["renewTime"] == "2026-01-31T12:00:00.500000Z"
    node: Object = {"spec": {"taints": [{"key": "a", "effect": "NoExecute", "timeAdded": "2026-01-31T12:00:00.9Z"}]}}
    schema.conform(NODES, node)
    assert node["spec"]["taints"][0]["timeAdded"] == "2026-01-31T12:00:00Z"
    secret: Object = {"data": {"a": "YWJj\nYWJj\n"}}
    schema.conform(SECRETS, secret)
    assert secret["data"]["a"] == "YWJjYWJj"


def test_free_form_fields_take_anything() -> None:
    fields = {"f:metadata": {"f:labels": {".": {}, "x": None}}}
    obj: Object = {"metadata": {"managedFields": [{"manager": "me", "fieldsV1": fields}]}}
    assert schema.conform(PODS, obj) == []
    assert obj["metadata"]["managedFields"][0]["fieldsV1"] == fields


@pytest.mark.parametrize("resource", [*RESOURCES, *BODIES], ids=lambda resource: resource.schema)
def test_what_conforms_is_left_alone(resource: Resource, objects_of: Callable[[str], st.SearchStrategy[Any]]) -> None:
    @settings(max_examples=15, deadline=None)
    @given(objects_of(resource.schema))
    def check(obj: Object) -> None:
        before = deepcopy(obj)
        assert compiled.strict(resource.schema)(obj)
        assert schema.conform(resource, obj) == []
        assert obj == before

    check()


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_whatever_is_read_is_clean_afterwards(data: st.DataObject) -> None:
    """Put something anywhere: either it is refused, or what is left passes the compiled validator."""
    obj = deepcopy(_SOME_POD)
    container = data.draw(st.sampled_from(list(_containers(obj))))
    key = data.draw(st.sampled_from(sorted(container)) | st.text(max_size=4)) if isinstance(container, dict) else None
    value = data.draw(JSON)
    if key is None:
        container.append(value)
    else:
        container[key] = value
    try:
        schema.conform(PODS, obj)
    except ApiError as error:
        assert error.code == 400
        return
    assert compiled.strict(PODS.schema)(obj)


@pytest.mark.parametrize(
    ("obj", "message"),
    [
        ({"kind": "Service"}, "the kind in the data (Service) does not match the expected kind (Pod)"),
        (
            {"apiVersion": "v2", "kind": "Pod"},
            'Pod in version "v2" cannot be handled as a Pod: no kind "Pod" is registered for version "v2"'
            ' in scheme "pkg/api/legacyscheme/scheme.go:30"',
        ),
        (
            {"kind": "pod"},
            'pod in version "v1" cannot be handled as a Pod: no kind "pod" is registered for version "v1"'
            ' in scheme "pkg/api/legacyscheme/scheme.go:30"',
        ),
        ([], "couldn't get version/kind; json parse error: the body is not a JSON object"),
    ],
)
def test_another_kind_is_refused(obj: Any, message: str) -> None:
    with pytest.raises(ApiError) as caught:
        schema.identify(PODS, obj)
    assert (caught.value.code, caught.value.message) == (400, message)


def test_a_missing_kind_is_filled_in() -> None:
    obj: Object = {"metadata": {}}
    schema.identify(DEPLOYMENTS, obj)
    assert (obj["kind"], obj["apiVersion"]) == ("Deployment", "apps/v1")


@pytest.mark.parametrize(
    ("raw", "paths"),
    [
        (b'{"a":1,"b":{"a":1}}', []),
        (b'{"a":1,"a":2}', ["a"]),
        (b'{"a": 1, "a": 2, "a": 3}', ["a"]),
        (b'{"a" :1,"a":2}', ["a"]),
        (b'{"a"\n:1,"a":2}', ["a"]),
        (b'{"a":"\\u0022:","b":1,"b":2}', ["b"]),
        (b'{"spec":{"containers":[{"x":1},{"image":"a","image":"b"}]}}', ["spec.containers[1].image"]),
        (b'{"a":"x\\":y","b":"\\":"}', []),
        (b'{"a":{"b":1,"b":2},"a":{"c":1,"c":2}}', ["a.b", "a", "a.c"]),
    ],
)
def test_duplicate_fields(raw: bytes, paths: list[str]) -> None:
    assert schema.duplicate_fields(raw) == paths
    assert schema.duplicate_fields(raw, orjson.loads(raw)) == paths


KEYS = st.sampled_from(["a", "b:", 'c"', "d :"])
PAIRS = st.recursive(
    st.integers() | st.text(alphabet='ab":\\ {},', max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.lists(st.tuples(KEYS, inner), max_size=4).map(tuple),
    max_leaves=12,
)


@given(PAIRS, st.sampled_from([(",", ":"), (", ", ": "), (",\n", " :"), (" , ", " : ")]), st.booleans())
def test_duplicates_are_found_in_any_text(value: Any, separators: tuple[str, str], ascii_only: bool) -> None:
    text = _render(value, separators, ascii_only)
    found = schema.duplicate_fields(text.encode())
    assert bool(found) is _has_duplicates(value)


def test_reading_costs_nothing_before_it_is_used() -> None:
    """Agents and clients import the package without the data and without the validator."""
    program = (
        "import sys; from picluster.api import schema, meta, selectors, quantity\n"
        "from picluster.api.schemas import data\n"
        "assert 'jsonschema_rs' not in sys.modules\n"
        "assert data.definitions.cache_info().currsize == 0"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)


_SOME_POD: Object = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "a", "labels": {"a": "b"}, "finalizers": ["x/y"], "creationTimestamp": "2026-01-31T12:00:00Z"},
    "spec": {
        "containers": [
            {
                "name": "a",
                "args": ["b"],
                "ports": [{"containerPort": 1}],
                "resources": {"limits": {"cpu": "1"}},
                "livenessProbe": {"httpGet": {"port": "x"}, "periodSeconds": 1},
            }
        ],
        "hostNetwork": True,
    },
}


def _containers(node: Any) -> Any:
    if isinstance(node, dict | list):
        yield node
        for child in node.values() if isinstance(node, dict) else node:
            yield from _containers(child)


def _render(value: Any, separators: tuple[str, str], ascii_only: bool) -> str:
    comma, colon = separators
    if isinstance(value, tuple):
        pairs = (f"{json.dumps(key)}{colon}{_render(child, separators, ascii_only)}" for key, child in value)
        return "{" + comma.join(pairs) + "}"
    if isinstance(value, list):
        return "[" + comma.join(_render(child, separators, ascii_only) for child in value) + "]"
    if isinstance(value, str) and ascii_only:
        return json.dumps(value.replace('"', "\x01")).replace("\\u0001", "\\u0022")
    return json.dumps(value)


def _has_duplicates(value: Any) -> bool:
    if isinstance(value, tuple):
        keys = [key for key, _ in value]
        return len(set(keys)) < len(keys) or any(_has_duplicates(child) for _, child in value)
    return isinstance(value, list) and any(map(_has_duplicates, value))


def crd(schema: Any) -> Object:
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {"spec": {"group": "g", "names": {"plural": "p", "kind": "K"}, "scope": "Cluster", "versions": [version]}}


@pytest.mark.parametrize(
    ("schema_props", "clean", "unknown"),
    [
        ({"default": None, "enum": [None, 1], "minimum": 1.5}, {"enum": [None, 1], "minimum": 1.5}, []),
        ({"properties": {"a": {"typo": 1}}}, {"properties": {"a": {}}}, ["properties.a.typo"]),
        ({"items": {"typo": 1, "type": "string"}}, {"items": {"type": "string"}}, []),
        ({"items": [None, {"type": "a"}], "not": None}, {"items": [{}, {"type": "a"}]}, []),
        ({"items": "a"}, {}, []),
        ({"additionalProperties": {"typo": 1}, "additionalItems": False},
         {"additionalProperties": {}, "additionalItems": False}, []),
        ({"dependencies": {"a": ["b", None], "c": {"typo": 1}}}, {"dependencies": {"a": ["b", ""], "c": {}}}, []),
        ({"example": {"anything": [None]}, "title": None}, {"example": {"anything": [None]}}, []),
    ],
)  # fmt: skip
def test_json_schemas_in_definitions(schema_props: Object, clean: Object, unknown: list[str]) -> None:
    obj = crd(schema_props)
    found = schema.conform(CUSTOM_RESOURCE_DEFINITIONS, obj)
    assert obj == crd(clean)
    assert found == [f"spec.versions[0].schema.openAPIV3Schema.{path}" for path in unknown]
    assert schema.conform(CUSTOM_RESOURCE_DEFINITIONS, obj) == []


@pytest.mark.parametrize(
    ("schema_props", "message"),
    [
        ({"additionalProperties": "yes"}, "boolean or JSON schema expected"),
        ({"maximum": "1"}, "json: cannot unmarshal string into Go struct field JSONSchemaProps."
         "spec.versions.schema.openAPIV3Schema.maximum of type float64"),
        ({"items": {"maximum": "1"}}, "cannot unmarshal string into Go struct field JSONSchemaProps.maximum of type"),
        ({"dependencies": {"a": [1]}}, "cannot unmarshal number into Go struct field"),
    ],
)  # fmt: skip
def test_json_schemas_that_are_none(schema_props: Object, message: str) -> None:
    with pytest.raises(errors.ApiError) as refused:
        schema.conform(CUSTOM_RESOURCE_DEFINITIONS, crd(schema_props))
    assert refused.value.code == 400
    assert message in refused.value.message


def test_an_empty_object_has_no_fields() -> None:
    version = {"name": "v1", "served": True, "storage": True, "subresources": {"status": {"typo": 1}}}
    obj: Object = {"spec": {"group": "g", "names": {"plural": "p", "kind": "K"}, "scope": "Cluster",
                            "versions": [version]}}  # fmt: skip
    assert schema.conform(CUSTOM_RESOURCE_DEFINITIONS, obj) == ["spec.versions[0].subresources.status.typo"]
    assert obj["spec"]["versions"][0]["subresources"] == {"status": {}}
    revision: Object = {"revision": 1, "data": {"anything": {"goes": [None]}}}
    assert schema.conform(CONTROLLER_REVISIONS, revision) == []
    assert revision["data"] == {"anything": {"goes": [None]}}


def test_a_json_schema_has_a_greatest_depth() -> None:
    deep: Object = {"typo": 1}
    for _ in range(2000):
        deep = {"not": deep}
    with pytest.raises(errors.ApiError, match="exceeded max depth"):
        schema.conform(CUSTOM_RESOURCE_DEFINITIONS, crd(deep))


def test_complaints_come_in_the_order_of_the_text() -> None:
    raw = (
        b'{"spec":{"unknown1":1,"twice":1,"twice":2,"paused":true,"paused":false,'
        b'"template":{"spec":{"containers":[{"nested":1,"image":"a","image":"b"}]}}}}'
    )
    unknown = ["spec.unknown1", "spec.twice", "spec.template.spec.containers[0].nested"]
    found = schema.complaints(DEPLOYMENTS, unknown, schema.duplicate_fields(raw), raw)
    assert found == [
        'unknown field "spec.unknown1"',
        'unknown field "spec.twice"',
        'duplicate field "spec.paused"',
        'unknown field "spec.template.spec.containers[0].nested"',
        'duplicate field "spec.template.spec.containers[0].image"',
    ]
