"""The committed schema data is what the generator makes, and has what Kubernetes' schemas have."""

from __future__ import annotations

import gzip
import json

import pytest

from picluster.api import schema
from picluster.api.resources import BODIES, RESOURCES
from picluster.api.schemas import data, generate


def test_the_committed_data_is_up_to_date() -> None:
    definitions, descriptions = generate.build()
    assert generate.DEFINITIONS_FILE.read_text() == generate.render(definitions), "run the generator"
    assert json.loads(gzip.decompress(generate.DESCRIPTIONS_FILE.read_bytes())) == descriptions, "run the generator"


def test_every_kind_and_its_list_is_there() -> None:
    for resource in (*RESOURCES, *BODIES):
        assert schema.definition(resource.schema)["type"] == "object"
    for resource in (r for r in RESOURCES if "list" in r.verbs):
        assert schema.definition(resource.schema + "List")["properties"]["items"]["type"] == "array"


def test_definitions_are_closed_and_carry_no_prose() -> None:
    text = generate.DEFINITIONS_FILE.read_text()
    assert '"description":"' not in text
    assert '"null"' not in text
    names = set(data.definitions())
    for definition in data.definitions().values():
        for reference in generate.references(definition):
            assert reference in names


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (["spec", "containers"], {"x-kubernetes-patch-strategy": "merge", "x-kubernetes-patch-merge-key": "name"}),
        (["spec", "containers", 0, "ports"], {"x-kubernetes-list-map-keys": ["containerPort", "protocol"]}),
        (["spec", "containers", 0, "ports", 3, "containerPort"], {"type": "integer", "format": "int32"}),
        (["metadata", "labels", "anything"], {"type": "string"}),
        (["metadata", "creationTimestamp"], {"type": "string", "format": "date-time"}),
        (["spec", "containers", 0, "readinessProbe", "httpGet", "port"], {"format": "int-or-string"}),
    ],
)
def test_resolves_paths(path: list[str | int], expected: dict[str, object]) -> None:
    found = schema.resolve("io.k8s.api.core.v1.Pod", path)
    assert found is not None
    assert expected.items() <= found.items()


@pytest.mark.parametrize("path", [["spec", "foo"], ["spec", 0], ["kind", "x"]])
def test_what_is_not_there_does_not_resolve(path: list[str | int]) -> None:
    assert schema.resolve("io.k8s.api.core.v1.Pod", path) is None


def test_descriptions_go_back_in() -> None:
    described = schema.with_descriptions("io.k8s.api.core.v1.Pod")
    assert described["description"].startswith("Pod is a collection of containers")
    assert described["properties"]["spec"]["description"]
    assert "description" not in schema.definition("io.k8s.api.core.v1.Pod")
