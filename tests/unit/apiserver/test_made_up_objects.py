"""Objects made up from the schemas: whatever they say, they are read, judged and shown, and nothing else is changed."""

from __future__ import annotations

import random
from collections import Counter
from copy import deepcopy
from typing import Any

import pytest

from picluster.api import schema
from picluster.api.errors import ApiError
from picluster.api.resources import RESOURCES, Resource
from picluster.apiserver import tables
from picluster.apiserver.registry.kinds import BuiltIn

TRIES = 1500
DEPTH_MAX = 11
NOW, NOW_S = "2026-01-31T12:00:00Z", 1.8e9
WORDS = [
    "", "a", "web", "Always", "Never", "OnFailure", "ClusterIP", "NodePort", "LoadBalancer", "ExternalName", "None",
    "IPv4", "IPv6", "RollingUpdate", "Recreate", "OnDelete", "Indexed", "Exists", "In", "NotIn", "TCP", "NoSchedule",
    "NoExecute", "10.43.0.5", "::1", "10.0.0.0/8", "1", "100m", "10%", "x.y/z", "/", "../x", "/a/b", "A_B", "é",
    "Local", "ClientIP", "0-3", "3-1", "* * * * *", "@daily", "Europe/Paris", "Container", "Utilization", "Pods",
    "ExactCount", "metadata.name", "limits.cpu", "Ready", "Complete", "True", "False",
]  # fmt: skip
KEYS = ["a", "cpu", "memory", "storage", "x/y", "hugepages-2Mi", "", "a b"]
SCALARS: dict[str, list[Any]] = {
    "string": WORDS,
    "integer": [0, 1, -1, 80, 10250, 65536, 2**31 - 1],
    "number": [0.5, 1, -1],
    "boolean": [True, False],
}
SPECIAL: dict[str, list[Any]] = {
    "Quantity": ["1", "100m", "1Gi", "-1", "0", "5e3", 1, 0.5],
    "IntOrString": [0, 1, -1, 70000, "10%", "http", ""],
    "Time": ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00+02:00"],
    "RawExtension": [{}, {"a": 1}],
    "JSON": [{}, 1, "x"],
}
POD: dict[str, Any] = {"containers": [{"name": "c", "image": "i:1"}], "volumes": [{"name": "v"}]}
TEMPLATE: dict[str, Any] = {"metadata": {"labels": {"app": "web"}}, "spec": POD}
SELECTED: dict[str, Any] = {"selector": {"matchLabels": {"app": "web"}}, "template": TEMPLATE}
JOB: dict[str, Any] = {"template": {"spec": {**POD, "restartPolicy": "Never"}}}
DISK: dict[str, Any] = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
GOOD: dict[str, dict[str, Any]] = {
    "Pod": {"spec": POD},
    "Service": {"spec": {"ports": [{"port": 80}], "selector": {"a": "b"}}},
    "Deployment": {"spec": SELECTED},
    "DaemonSet": {"spec": SELECTED},
    "StatefulSet": {"spec": {"serviceName": "web", **SELECTED}},
    "Job": {"spec": JOB},
    "CronJob": {"spec": {"schedule": "* * * * *", "jobTemplate": {"spec": JOB}}},
    "ReplicationController": {"spec": {"template": TEMPLATE}},
    "PersistentVolumeClaim": {"spec": DISK},
    "Node": {"spec": {}},
    "EndpointSlice": {"addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.1"]}], "ports": [{"port": 80}]},
    "HorizontalPodAutoscaler": {"spec": {"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "web"}}},
    "ResourceClaim": {"spec": {"devices": {"requests": [{"name": "g", "exactly": {"deviceClassName": "g"}}]}}},
    "NetworkPolicy": {"spec": {"podSelector": {}, "ingress": [{"ports": [{"port": 80}]}]}},
}
KINDS = [resource for resource in RESOURCES if resource.kind in GOOD]


def made_up(node: dict[str, Any], rng: random.Random, depth: int) -> Any:
    name = node.get("$ref", "").rpartition(".")[2]
    for special, choices in SPECIAL.items():
        if name.endswith(special):
            return deepcopy(rng.choice(choices))
    node = schema.follow(node) if name else node
    kind = node.get("type")
    if "properties" in node:
        share = rng.choice([0.15, 0.5]) if depth < DEPTH_MAX else 0
        return {
            field: made_up(part, rng, depth + 1) for field, part in node["properties"].items() if rng.random() < share
        }
    if kind == "array":
        return [
            made_up(node["items"], rng, depth + 1) for _ in range(rng.choice([0, 1, 2]) if depth < DEPTH_MAX else 0)
        ]
    values = node.get("additionalProperties")
    if isinstance(values, dict):
        return {rng.choice(KEYS): made_up(values, rng, depth + 1) for _ in range(rng.choice([0, 1, 2]))}
    return rng.choice(SCALARS.get(kind or "", [{}]))


def varied(obj: Any, node: dict[str, Any], rng: random.Random, depth: int = 0) -> Any:
    """``obj`` with something else in one place."""
    node = schema.follow(node)
    if isinstance(obj, dict) and "properties" in node and rng.random() < 0.9:
        fields = [field for field in node["properties"] if depth or field not in ("metadata", "apiVersion", "kind")]
        known = [field for field in fields if field in obj]
        field = rng.choice(known) if known and rng.random() < 0.6 else rng.choice(fields)
        part = node["properties"][field]
        return {**obj, field: varied(obj[field], part, rng, depth + 1) if field in obj else made_up(part, rng, 8)}
    if isinstance(obj, list) and obj and node.get("type") == "array" and rng.random() < 0.9:
        place = rng.randrange(len(obj))
        return [varied(each, node["items"], rng, depth + 1) if at == place else each for at, each in enumerate(obj)]
    return made_up(node, rng, 8)


def updated(kind: BuiltIn, new: dict[str, Any], old: dict[str, Any], subresource: str | None) -> bool:
    """Take ``new`` through an update of ``old``; whether it is allowed."""
    before = deepcopy(old)
    kind.conform(new)
    kind.default(new)
    kind.prepare_update(new, old, subresource)
    failures = [str(failure) for failure in kind.update_failures(new, old, subresource)]
    assert old == before
    if not failures:
        kind.update_warnings(new, old, subresource)
        tables.render(kind.resource, [new], {}, NOW_S)
    return not failures


def lived(resource: Resource, rng: random.Random) -> str:
    """Lead an object as far into its life as it comes; the step it came to."""
    kind, node = BuiltIn(resource), schema.definition(resource.schema)
    obj = deepcopy(GOOD[resource.kind])
    for _ in range(rng.choice([0, 1, 2])):
        obj = varied(obj, node, rng)
    metadata = {"name": "web", **({"namespace": "default"} if resource.namespaced else {})}
    obj = {**obj, "apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata}
    kind.conform(obj)
    kind.default(obj)
    kind.prepare_create(obj, NOW)
    if [str(failure) for failure in kind.create_failures(obj)]:
        return "refused"
    kind.create_warnings(obj)
    tables.render(resource, [obj], {}, NOW_S)
    new = {**varied(deepcopy(obj), node, rng), "metadata": deepcopy(obj["metadata"])}
    allowed = updated(kind, new, obj, None)
    if resource.has_status:
        status = made_up(node["properties"]["status"], rng, 1)
        updated(kind, {**deepcopy(obj), "metadata": deepcopy(obj["metadata"]), "status": status}, obj, "status")
    return "updated" if allowed else "created"


@pytest.mark.parametrize("seed", range(3))
def test_every_object_gets_an_answer(seed: int) -> None:
    rng, steps = random.Random(seed), Counter[str]()
    for _ in range(TRIES):
        try:
            steps[lived(rng.choice(KINDS), rng)] += 1
        except ApiError as refusal:  # what cannot even be read
            assert refusal.code in (400, 422)
            steps["unread"] += 1
    assert min(steps["refused"], steps["created"], steps["updated"]) > TRIES / 20, steps
