"""Objects to try things on: a rich pod, and random ones that conform to any schema."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import cache
from typing import Any

import pytest
from hypothesis import strategies as st

from picluster.api.schemas import data
from picluster.api.types import Object

WORDS = st.sampled_from(
    [
        "",
        "a",
        "web",
        "web-1",
        "Web_1",
        "a.b",
        "10.0.0.1",
        "::1",
        "/x",
        "../x",
        "..",
        "TCP",
        "Always",
        "None",
        "10%",
        "é",
    ]
)
KEYS = st.sampled_from(["app", "tier", "example.com/x", "Bad Key", "cpu", "memory", "hugepages-2Mi", "example.com/gpu"])
QUANTITIES = st.sampled_from(["0", "1", "100m", "0.5", "1Gi", "1024Mi", "-1", "1e3", "1.5Gi", "1n"])
TIMES = st.sampled_from(["2026-01-31T12:00:00Z", "1999-12-31T23:59:59Z"])
MICRO_TIMES = st.sampled_from(["2026-01-31T12:00:00.000000Z", "2026-01-31T12:00:00.123456Z"])
ANY_JSON = st.sampled_from(["", "a", 0, 1.5, True, [], {}, [None, {"a": [1]}], {"a": {"b": None}}])
DEPTH_MAX = 9


def conforming(name: str) -> st.SearchStrategy[Any]:
    """Random values of a definition: right types, most fields missing, contents often invalid."""
    return st.deferred(lambda: _definition(name, 0))


@cache
def _definition(name: str, depth: int) -> st.SearchStrategy[Any]:
    special = {
        data.QUANTITY: QUANTITIES,
        data.TIME: TIMES,
        data.MICRO_TIME: MICRO_TIMES,
        data.INT_OR_STRING: st.integers(-2, 70000) | WORDS,
        data.JSON: ANY_JSON,
    }
    if name in data.UNTYPED and name not in special:
        schema = _definition(data.JSON_SCHEMA, depth + 1)
        other = st.booleans() if name == data.JSON_SCHEMA_OR_BOOL else st.lists(_element(name, depth), min_size=1)
        return schema | other
    found = special[name] if name in special else _node(data.definitions()[name], depth)
    if (omitted := data.OMITTED_EMPTY.get(name)) is None:
        return found
    return found.map(lambda obj: {field: value for field, value in obj.items() if value or field not in omitted})


def _element(name: str, depth: int) -> st.SearchStrategy[Any]:
    return WORDS if name == data.JSON_SCHEMA_OR_STRINGS else _definition(data.JSON_SCHEMA, depth + 1)


def _node(node: Object, depth: int) -> st.SearchStrategy[Any]:
    name = data.target(node)
    if name is not None:
        return _definition(name, depth)
    match node["type"]:
        case "object" if "properties" in node:
            return _struct(node, depth)
        case "object":
            values = node.get("additionalProperties")
            return st.dictionaries(KEYS, _node(values, depth + 1), max_size=2) if values else st.just({})
        case "array":
            return st.lists(_node(node["items"], depth + 1), max_size=2) if depth < DEPTH_MAX else st.just([])
        case "integer":
            return st.sampled_from([-1, 0, 1, 2, 30, 80, 65535, 65536, 2**31 - 1])
        case "boolean":
            return st.booleans()
        case "number":
            return st.sampled_from([-1, 0, 2, 1.5, 1e30])
    return st.just("YQ==") if node.get("format") == "byte" else WORDS


def _struct(node: Object, depth: int) -> st.SearchStrategy[Any]:
    fields = node["properties"]
    if depth >= DEPTH_MAX:
        return st.just({})

    @st.composite
    def build(draw: st.DrawFn) -> Object:
        chosen = draw(st.lists(st.sampled_from(sorted(fields)), max_size=5 if depth else len(fields), unique=True))
        required = [field for field in node.get("required", ()) if draw(st.integers(0, 9))]
        return {field: draw(_node(fields[field], depth + 1)) for field in dict.fromkeys([*required, *chosen])}

    return build()


RICH_POD: Object = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "web-6d5f7c9b8-abcde",
        "generateName": "web-6d5f7c9b8-",
        "namespace": "default",
        "labels": {"app": "web", "pod-template-hash": "6d5f7c9b8"},
        "annotations": {"example.com/checksum": "4f3c2b1a"},
        "ownerReferences": [
            {
                "apiVersion": "apps/v1",
                "kind": "ReplicaSet",
                "name": "web-6d5f7c9b8",
                "uid": "d4c179b6-0de9-43e2-8b32-0a24aba2e83b",
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
    },
    "spec": {
        "containers": [
            {
                "name": "web",
                "image": "registry.local/web:1.2.3",
                "ports": [{"name": "http", "containerPort": 8080}],
                "env": [
                    {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                    {"name": "MODE", "value": "production"},
                    {"name": "DB", "valueFrom": {"secretKeyRef": {"name": "db", "key": "url"}}},
                ],
                "resources": {"limits": {"cpu": "0.5", "memory": "1024Mi"}, "requests": {"cpu": "100m"}},
                "readinessProbe": {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 2},
                "livenessProbe": {"tcpSocket": {"port": 8080}},
                "volumeMounts": [
                    {"name": "config", "mountPath": "/etc/web"},
                    {"name": "data", "mountPath": "/data"},
                ],
            },
            {"name": "sidecar", "image": "sidecar", "volumeMounts": [{"name": "data", "mountPath": "/data"}]},
        ],
        "volumes": [{"name": "config", "configMap": {"name": "web-config"}}, {"name": "data", "emptyDir": {}}],
        "nodeSelector": {"kubernetes.io/arch": "arm64"},
        "tolerations": [
            {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 3}
        ],
        "serviceAccountName": "web",
    },
}


@pytest.fixture
def pod() -> Object:
    """A pod as a client sends it; every test gets its own."""
    return deepcopy(RICH_POD)


@pytest.fixture(scope="session")
def objects_of() -> Callable[[str], st.SearchStrategy[Any]]:
    """``objects_of(definition name)`` is a strategy of conforming objects."""
    return conforming
