"""The pure parts of the cluster commands: tables as text, manifests, merges, pages."""

from __future__ import annotations

import re
from typing import Any

import click
import pytest

from picluster.api.resources import RESOURCES
from picluster.apiserver import discovery
from picluster.cli import _describe, _kinds, _manifests, _tables
from picluster.cli.apply import is_rolled_out
from picluster.client import discovery as served

TABLE = {
    "columnDefinitions": [
        {"name": "Name", "priority": 0},
        {"name": "Ready", "priority": 0},
        {"name": "Node", "priority": 1},
    ],
    "rows": [
        {"cells": ["web-1", "1/1", "pi-1"], "object": {"metadata": {"namespace": "default"}}},
        {"cells": ["a-long-name", "0/1", None], "object": {"metadata": {"namespace": "kube-system"}}},
    ],
}


def test_a_table_is_aligned_as_kubectl_does() -> None:
    assert _tables.text(TABLE).splitlines() == ["NAME          READY", "web-1         1/1", "a-long-name   0/1"]
    assert _tables.text(TABLE, wide=True, namespaces=True).splitlines() == [
        "NAMESPACE     NAME          READY   NODE",
        "default       web-1         1/1     pi-1",
        "kube-system   a-long-name   0/1     <none>",
    ]


def test_discovery_is_read_back_as_the_table_it_was_made_of() -> None:
    found = [r for core in (True, False) for r in served.parse(discovery.aggregated(RESOURCES, core=core))]
    assert {(r.id, r.kind, r.namespaced, r.short_names) for r in found} == {
        (r.id, r.kind, r.namespaced, r.short_names) for r in RESOURCES
    }


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("pods", "a", "b"), [("pods", ("a", "b"))]),
        (("pod/a", "svc/b"), [("pod", ("a",)), ("svc", ("b",))]),
        (("pods",), [("pods", ())]),
        (("pods,svc",), [("pods", ()), ("svc", ())]),
    ],
)
def test_type_and_names(words: tuple[str, ...], expected: list[tuple[str, tuple[str, ...]]]) -> None:
    assert _kinds.split(words) == expected


def test_manifests_are_unrolled_in_order() -> None:
    text = """
apiVersion: v1
kind: Namespace
metadata: {name: a}
---
---
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: ConfigMap, metadata: {name: b}}
- {apiVersion: v1, kind: ConfigMap, metadata: {generateName: c-}}
"""
    assert [manifest.obj["metadata"] for manifest in _manifests.parse(text, "x.yaml")] == [
        {"name": "a"},
        {"name": "b"},
        {"generateName": "c-"},
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "x.yaml is not YAML"),
        ("- 1", "x.yaml: [1] is no object; it must have apiVersion, kind and metadata.name"),
        ("kind: Pod", "the object has no apiVersion"),
        ("apiVersion: v1", "the object has no kind"),
        ("{apiVersion: v1, kind: Pod}", "the Pod has no metadata.name"),
    ],
)
def test_a_bad_manifest_is_named_with_its_mistake(text: str, message: str) -> None:
    with pytest.raises(click.ClickException, match=re.escape(message)):
        _manifests.parse(text, "x.yaml")


def deployment(**status: int) -> dict[str, Any]:
    return {"metadata": {"generation": 2}, "spec": {"replicas": 3}, "status": status}


@pytest.mark.parametrize(
    ("status", "done"),
    [
        ({}, False),
        ({"observedGeneration": 1, "updatedReplicas": 3, "replicas": 3, "availableReplicas": 3}, False),
        ({"observedGeneration": 2, "updatedReplicas": 3, "replicas": 4, "availableReplicas": 3}, False),
        ({"observedGeneration": 2, "updatedReplicas": 3, "replicas": 3, "availableReplicas": 2}, False),
        ({"observedGeneration": 2, "updatedReplicas": 3, "replicas": 3, "availableReplicas": 3}, True),
    ],
    ids=["nothing yet", "not observed", "an old one left", "not available", "done"],
)
def test_rolled_out(status: dict[str, int], done: bool) -> None:
    assert is_rolled_out(deployment(**status)) is done


def test_a_page_is_readable_and_hides_secrets() -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "key", "namespace": "default", "labels": {"app": "web"}},
        "type": "Opaque",
        "data": {"password": "c2VjcmV0"},
    }
    assert _describe.page(secret).splitlines() == [
        "Name:          key",
        "Namespace:     default",
        "Labels:        app=web",
        "Annotations:   <none>",
        "API Version:   v1",
        "Kind:          Secret",
        "Created:",
        "Type:  Opaque",
        "Data:",
        "  Password:  6 bytes",
    ]


def test_nested_values_are_indented_and_titled() -> None:
    obj = {
        "metadata": {"name": "a"},
        "spec": {"readyReplicas": 1, "list": [{"type": "Ready", "ok": True}], "app/x": "y"},
    }
    assert _describe.page(obj).splitlines()[-6:] == [
        "Spec:",
        "  Ready Replicas:  1",
        "  List:",
        "    - Type:  Ready",
        "      Ok:  true",
        "  app/x:  y",
    ]
