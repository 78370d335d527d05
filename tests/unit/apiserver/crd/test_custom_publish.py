"""Custom resources in OpenAPI, as kubectl can read them."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from definitions import definition, version

from picluster.apiserver.crd import publish
from picluster.apiserver.crd.conditions import status
from picluster.apiserver.crd.definition import Definition, schema_of
from picluster.apiserver.openapi import Documents, definition_name, list_definition_name, operations_of

STRING = {"type": "string"}
OPEN = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def read(*versions: dict[str, Any]) -> Definition:
    crd = definition(*versions, names={"singular": "widget", "listKind": "WidgetList"})
    return Definition({**crd, "status": status(crd, (), "2026-01-01T00:00:00Z")})


def published(schema: Any) -> dict[str, Any]:
    found = read(version(schema=schema))
    return publish.definition(found.row(found.storage), schema_of(found.storage))


def test_names_are_turned_round() -> None:
    row = read().row(version())
    assert (definition_name(row), list_definition_name(row)) == ("com.example.v1.Widget", "com.example.v1.WidgetList")


def test_an_object_has_what_every_object_has() -> None:
    body = published({"spec": STRING})
    assert set(body["properties"]) == {"apiVersion", "kind", "metadata", "spec"}
    assert body["properties"]["metadata"]["$ref"].endswith("v1.ObjectMeta")
    assert body["x-kubernetes-group-version-kind"] == [{"group": "example.com", "version": "v1", "kind": "Widget"}]


def test_embedded_objects_have_it_too() -> None:
    body = published({"e": {**OPEN, "x-kubernetes-embedded-resource": True}})
    embedded = body["properties"]["e"]
    assert set(embedded["properties"]) == {"apiVersion", "kind", "metadata"}
    assert embedded["required"] == ["kind", "apiVersion"]


def test_a_schema_that_is_not_structural_is_not_shown() -> None:
    assert not read(version(schema={"a": {}})).structural
    row = read().row(version())
    assert "properties" not in publish.definition(row, {})


@pytest.mark.parametrize(
    ("schema", "shown"),
    [
        ({**STRING, "nullable": True}, {}),
        ({**OPEN, "properties": {"a": STRING}}, {"x-kubernetes-preserve-unknown-fields": True}),
        ({"type": "array", "items": {**STRING, "oneOf": [{}]}}, {"type": "array", "items": STRING}),
        ({**STRING, "anyOf": [{"minLength": 1}], "minLength": 1}, {**STRING, "minLength": 1}),
    ],
)
def test_v2_leaves_out_what_it_cannot_say(schema: Any, shown: Any) -> None:
    assert publish.as_v2({"type": "object", "properties": {"a": schema}})["properties"]["a"] == shown


def test_v2_says_nothing_of_what_is_open() -> None:
    assert publish.as_v2({**OPEN, "properties": {"a": STRING}}) == {"type": "object"}


def test_custom_resources_take_no_strategic_patch() -> None:
    found = read()
    patches = [op.patches for op in operations_of(found.row(found.storage)) if op.method == "patch"]
    assert patches == [("application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml")]


def test_what_has_not_changed_is_not_written_again() -> None:
    found = read(version("v1", {"a": STRING}), version("v2", {"a": STRING}, storage=False))
    rows = [found.row(each) for each in found.served]
    custom = {}
    for row, each in zip(rows, found.served, strict=True):
        custom[definition_name(row)] = partial(publish.definition, row, schema_of(each))
        custom[list_definition_name(row)] = partial(publish.list_definition, row, definition_name(row))
    first = Documents(rows, custom)
    kept = first.group_version("apis/example.com/v1")
    empty = partial(publish.definition, rows[1], {"type": "object", "properties": {}})
    other = {**custom, "com.example.v2.Widget": empty}
    second = Documents(rows, other, first)
    assert second.group_version("apis/example.com/v1") is kept
    assert second.group_version("apis/example.com/v2") != first.group_version("apis/example.com/v2")
    assert Documents(rows[:1], custom, second).group_version("apis/example.com/v2") is None
