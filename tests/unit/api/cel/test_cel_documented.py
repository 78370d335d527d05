"""The examples of Kubernetes' documentation of CEL and of admission policies."""

from __future__ import annotations

from typing import Any

import pytest

from picluster.api.cel import BOOL, STRING, admission, compile_expression
from picluster.api.cel.structural import schema_type
from picluster.api.types import Object

TEXT, NUMBER = {"type": "string"}, {"type": "integer"}
TEXTS = {"type": "array", "items": TEXT}


def keyed(**properties: Any) -> Object:
    return {
        "type": "array", "items": {"type": "object", "properties": properties},
        "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [next(iter(properties))],
    }  # fmt: skip


SCHEMA: Object = {
    "type": "object",
    "properties": {
        "minReplicas": NUMBER, "replicas": NUMBER, "maxReplicas": NUMBER, "list1": TEXTS, "list2": TEXTS,
        "stateCounts": {"type": "object", "additionalProperties": NUMBER}, "health": TEXT, "names": TEXTS,
        "envars": keyed(name=TEXT, value=TEXT), "widgets": keyed(key=TEXT, foo=NUMBER), "set1": TEXTS, "set2": TEXTS,
        "expired": {"type": "string", "format": "date-time"}, "created": {"type": "string", "format": "date-time"},
        "ttl": {"type": "string", "format": "duration"}, "details": {"type": "object", "additionalProperties": TEXT},
        "either": {"x-kubernetes-int-or-string": True}, "memory": TEXT, "duration": TEXT, "schedule": TEXT,
    },
}  # fmt: skip
SELF: Object = {
    "metadata": {"name": "singleton"}, "minReplicas": 1, "replicas": 2, "maxReplicas": 3, "list1": ["a"], "list2": [],
    "stateCounts": {"Available": 2}, "health": "ok now", "envars": [{"name": "MY_ENV", "value": "abc"}],
    "widgets": [{"key": "x", "foo": 3}], "set1": ["a"], "set2": ["b"], "names": ["n"], "details": {"n": "value"},
    "created": "2024-01-01T00:00:00Z", "ttl": "1h", "expired": "2024-01-01T02:00:00Z", "either": "99%",
    "memory": "512Mi", "duration": "90m", "schedule": "0 3 * * *",
}  # fmt: skip


@pytest.mark.parametrize(
    "rule",
    [
        "self.minReplicas <= self.replicas && self.replicas <= self.maxReplicas",
        "'Available' in self.stateCounts",
        "(self.list1.size() == 0) != (self.list2.size() == 0)",
        "self.envars.filter(e, e.name == 'MY_ENV').all(e, e.value.matches('^[a-zA-Z]*$'))",
        "has(self.expired) && self.created + self.ttl < self.expired",
        "self.health.startsWith('ok')",
        "self.widgets.exists(w, w.key == 'x' && w.foo < 10)",
        "type(self.either) == string ? self.either == '99%' : self.either == 42",
        "self.metadata.name == 'singleton'",
        "self.set1.all(e, !(e in self.set2))",
        "self.names.size() == self.details.size() && self.names.all(n, n in self.details)",
        "self.details.all(key, key.matches('^[a-zA-Z]*$'))",
        "self.details.all(key, self.details[key].matches('^[a-zA-Z]*$'))",
        "quantity(self.memory).isLessThan(quantity('1Gi'))",
        "duration(self.duration) <= duration('2h')",
        "self.schedule.split(' ').size() == 5",
        "sets.intersects(self.set1, ['a', 'z'])",
        "self.names.map(n, n.upperAscii()).isSorted()",
        "self.widgets.map(w, w.foo).sum() == 3 && self.widgets.map(w, w.foo).max() >= 3",
    ],
)
def test_validation_rules(rule: str) -> None:
    declared = schema_type(SCHEMA, root=True)
    assert declared is not None
    assert compile_expression(rule, {"self": declared}, want=BOOL).evaluate({"self": SELF})


REQUEST: Object = {
    "object": {
        "metadata": {"name": "web", "namespace": "prod", "labels": {"env": "prod"}},
        "spec": {
            "replicas": 5,
            "template": {
                "spec": {
                    "containers": [
                        {"name": "a", "image": "prod.example.com/a:1", "securityContext": {"runAsNonRoot": True}},
                        {"name": "b", "image": "prod.example.com/b:2", "resources": {"limits": {"memory": "1Gi"}}},
                    ]
                }
            },
        },
    },
    "oldObject": None,
    "params": {"maxReplicas": 100},
    "request": {"userInfo": {"username": "ann", "groups": ["admins"]}, "resource": {"group": "apps"}, "name": "web"},
    "namespaceObject": {"metadata": {"name": "prod", "labels": {"environment": "prod"}}},
}


@pytest.mark.parametrize(
    "expression",
    [
        "object.spec.replicas <= params.maxReplicas",
        "!('exclude-leases' in request.userInfo.groups) && request.resource.group != 'coordination.k8s.io'",
        "!('system:nodes' in request.userInfo.groups)",
        "object.spec.template.spec.containers.all(c, c.image.startsWith(namespaceObject.metadata.labels.environment))",
        "object.spec.template.spec.containers.all(c, !has(c.securityContext) || !has(c.securityContext.privileged))",
        "object.spec.template.spec.containers.filter(c, has(c.resources) && has(c.resources.limits)).size() == 1",
        "object.metadata.?labels['env'].orValue('default') == 'prod'",
        "object.?spec.?template.?spec.?volumes.orValue([]).all(v, has(v.configMap))",
        "oldObject == null || object.spec.replicas >= oldObject.spec.replicas",
        "(has(object.metadata.labels) && 'env' in object.metadata.labels) ? true : false",
        "object.metadata.namespace == namespaceObject.metadata.name",
        "object.spec.template.spec.containers.map(c, c.image.split(':')[1]).all(tag, tag.matches('^[0-9]+$'))",
    ],
)
def test_policies(expression: str) -> None:
    assert compile_expression(expression, admission.variables(params=True), want=BOOL).evaluate(REQUEST)


def test_a_message_with_a_value_of_unknown_type_is_text() -> None:
    program = compile_expression(
        "'wants replicas > 1, got ' + object.spec.replicas", admission.variables(), want=STRING
    )
    assert program.type == STRING


def test_an_apply_configuration_of_the_documentation() -> None:
    source = """
        Object{
          spec: Object.spec{
            initContainers: [
              Object.spec.initContainers{name: "mesh-proxy", image: "mesh/proxy:v1.0.0", restartPolicy: "Always"}
            ]
          }
        }
    """
    made = compile_expression(source, admission.variables(), patches=True).evaluate(REQUEST)
    proxy = {"name": "mesh-proxy", "image": "mesh/proxy:v1.0.0", "restartPolicy": "Always"}
    assert made == {"spec": {"initContainers": [proxy]}}


def test_a_json_patch_of_the_documentation() -> None:
    source = """
        has(object.metadata.labels) ? [
          JSONPatch{op: "test", path: "/spec/example", value: "Red"},
          JSONPatch{op: "replace", path: "/spec/example", value: "Green"},
          JSONPatch{op: "add", path: "/spec/selector", value: Object.spec.selector{matchLabels: {"env": "test"}}},
          JSONPatch{op: "add", path: "/metadata/labels/" + jsonpatch.escapeKey("example.com/env"), value: "test"}
        ] : []
    """
    made = compile_expression(source, admission.variables(), patches=True).evaluate(REQUEST)
    assert [each["op"] for each in made] == ["test", "replace", "add", "add"]
    assert made[2]["value"] == {"matchLabels": {"env": "test"}}
    assert made[3]["path"] == "/metadata/labels/example.com~1env"
