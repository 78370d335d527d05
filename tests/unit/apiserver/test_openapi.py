"""The OpenAPI documents: complete, consistent, and with what kubectl looks for in them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from picluster.api.resources import RESOURCES
from picluster.apiserver import openapi, openapi_proto

PATHS = sorted({openapi.group_path(resource) for resource in RESOURCES})


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for child in node.values():
            yield from references(child)
    elif isinstance(node, list):
        for child in node:
            yield from references(child)


@pytest.mark.parametrize("path", PATHS)
def test_every_reference_of_a_v3_document_is_in_it(path: str) -> None:
    document = openapi.v3(RESOURCES, path)
    assert document is not None
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert set(references(document)) <= known


def test_every_reference_of_the_v2_document_is_in_it() -> None:
    document = openapi.v2(RESOURCES)
    assert set(references(document)) <= {f"#/definitions/{name}" for name in document["definitions"]}


@pytest.mark.parametrize("path", PATHS)
def test_operation_identifiers_are_unique(path: str) -> None:
    document = openapi.v3(RESOURCES, path)
    assert document is not None
    identifiers = [
        operation["operationId"]
        for item in document["paths"].values()
        for method, operation in item.items()
        if method != "parameters"
    ]
    assert len(identifiers) == len(set(identifiers))


def test_kubectl_finds_field_validation_on_patch() -> None:
    document = openapi.v3(RESOURCES, "apis/apps/v1")
    assert document is not None
    patch = document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"]
    assert {"fieldValidation", "dryRun"} <= {parameter["name"] for parameter in patch["parameters"]}
    assert patch["x-kubernetes-group-version-kind"] == {"group": "apps", "version": "v1", "kind": "Deployment"}


def test_explain_finds_prose_beside_references() -> None:
    document = openapi.v3(RESOURCES, "apis/apps/v1")
    assert document is not None
    spec = document["components"]["schemas"]["io.k8s.api.apps.v1.Deployment"]["properties"]["spec"]
    assert spec["description"]
    assert spec["allOf"] == [{"$ref": "#/components/schemas/io.k8s.api.apps.v1.DeploymentSpec"}]


def test_merge_keys_and_strategies_are_published() -> None:
    document = openapi.v3(RESOURCES, "api/v1")
    assert document is not None
    containers = document["components"]["schemas"]["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"]
    assert containers["x-kubernetes-patch-merge-key"] == "name"
    assert containers["x-kubernetes-patch-strategy"] == "merge"


def test_the_index_changes_when_a_document_does() -> None:
    whole = openapi.Documents(RESOURCES).index()["paths"]
    without = openapi.Documents([r for r in RESOURCES if r.kind != "ReplicaSet"]).index()["paths"]
    assert whole["apis/apps/v1"] != without["apis/apps/v1"]
    assert whole["api/v1"] == without["api/v1"]
    assert openapi.Documents(RESOURCES).group_version("apis/none/v1") is None


def fields(message: bytes) -> dict[int, list[bytes]]:
    """The length-delimited fields of a protobuf message by number; enough to look into one."""
    found: dict[int, list[bytes]] = {}
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        key = varint()
        length = varint()
        if key & 7 == 2:
            found.setdefault(key >> 3, []).append(message[at : at + length])
            at += length
    return found


def test_the_protobuf_document_says_what_the_json_one_says() -> None:
    swagger = openapi.v2(RESOURCES)
    document = fields(openapi_proto.document(swagger))
    assert document[1] == [b"2.0"]
    definitions = {fields(entry)[1][0].decode(): fields(entry)[2][0] for entry in fields(document[9][0])[1]}
    paths = [fields(entry)[1][0].decode() for entry in fields(document[8][0])[2]]
    assert list(definitions) == list(swagger["definitions"])
    assert paths == list(swagger["paths"])
    spec = fields(definitions["io.k8s.api.core.v1.PodSpec"])
    containers = next(fields(e)[2][0] for e in fields(spec[25][0])[1] if fields(e)[1] == [b"containers"])
    extensions = {fields(e)[1][0]: fields(fields(e)[2][0])[2][0] for e in fields(containers)[31]}
    assert extensions[b"x-kubernetes-patch-merge-key"] == b'"name"'
