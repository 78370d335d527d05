"""Which flow schema a request belongs to."""

from __future__ import annotations

from typing import Any

import pytest

from picluster.apiserver.authn import User
from picluster.apiserver.authz.attributes import Attributes
from picluster.apiserver.flowcontrol.objects import LEVELS, objects
from picluster.apiserver.flowcontrol.rules import choose, schemas

ALL = dict.fromkeys((*LEVELS, "exempt", "catch-all"))
STANDARD = schemas((obj for resource, obj in objects() if resource.kind == "FlowSchema"), ALL)
AUTHENTICATED = "system:authenticated"
NODE = User("system:node:pi-1", frozenset({"system:nodes", AUTHENTICATED}))
JANE = User("jane", frozenset({AUTHENTICATED}))
ACCOUNTS = "system:serviceaccounts"
BUILDER = User("system:serviceaccount:ci:builder", frozenset({ACCOUNTS, AUTHENTICATED}))
SYSTEM = User("system:serviceaccount:kube-system:dns", frozenset({ACCOUNTS, AUTHENTICATED}))
ADMIN = User("admin", frozenset({"system:masters", AUTHENTICATED}))
MANAGER = User("system:kube-controller-manager", frozenset({AUTHENTICATED}))
LEASES = {"group": "coordination.k8s.io", "resource": "leases"}


def url(user: User, path: str, verb: str = "get") -> Attributes:
    return Attributes(user, verb, path=path, is_resource=False)


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        (Attributes(ADMIN, "delete", "default", resource="pods"), "exempt"),
        (url(JANE, "/healthz"), "probes"),
        (url(JANE, "/healthz/ping"), "global-default"),
        (url(JANE, "/healthz", "post"), "global-default"),
        (Attributes(NODE, "update", "kube-node-lease", **LEASES), "system-node-high"),
        (Attributes(NODE, "patch", "", resource="nodes", subresource="status"), "system-node-high"),
        (Attributes(NODE, "get", "default", resource="pods"), "system-nodes"),
        (Attributes(MANAGER, "update", "kube-system", **LEASES), "system-leader-election"),
        (Attributes(MANAGER, "list", "", **LEASES), "kube-controller-manager"),
        (Attributes(MANAGER, "update", "default", resource="endpoints"), "endpoint-controller"),
        (Attributes(MANAGER, "update", "default", resource="pods"), "kube-controller-manager"),
        (Attributes(SYSTEM, "get", "default", resource="pods"), "kube-system-service-accounts"),
        (Attributes(BUILDER, "get", "default", resource="pods"), "service-accounts"),
        (Attributes(JANE, "get", "default", resource="pods"), "global-default"),
        (Attributes(User("odd", frozenset()), "get", "default", resource="pods"), "catch-all"),
    ],
)
def test_the_suggested_schemas_know_everybody(asked: Attributes, name: str) -> None:
    assert choose(STANDARD, asked).name == name


def schema(name: str, precedence: int, subject: dict[str, Any], by: str = "", **rules: Any) -> dict[str, Any]:
    spec = {
        "priorityLevelConfiguration": {"name": "workload-low"},
        "matchingPrecedence": precedence,
        "rules": [{"subjects": [subject], **rules}],
        **({"distinguisherMethod": {"type": by}} if by else {}),
    }
    return {"metadata": {"name": name, "uid": f"uid-{name}"}, "spec": spec}


def resource_rule(**changes: Any) -> dict[str, Any]:
    return {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"], **changes}


ANYBODY = {"kind": "Group", "group": {"name": "*"}}
IN_CI = {"kind": "ServiceAccount", "serviceAccount": {"namespace": "ci", "name": "*"}}


@pytest.mark.parametrize(
    ("rule", "asked", "matches"),
    [
        ({}, Attributes(JANE, "get", "default", resource="pods"), True),
        ({}, Attributes(JANE, "get", "", resource="nodes"), False),
        ({"clusterScope": True}, Attributes(JANE, "get", "", resource="nodes"), True),
        ({"namespaces": ["team"]}, Attributes(JANE, "get", "default", resource="pods"), False),
        ({"namespaces": ["team"]}, Attributes(JANE, "get", "team", resource="pods"), True),
        ({"resources": ["pods"]}, Attributes(JANE, "get", "team", resource="pods", subresource="status"), False),
        ({"resources": ["pods/status"]}, Attributes(JANE, "get", "a", resource="pods", subresource="status"), True),
        ({"verbs": ["list"]}, Attributes(JANE, "get", "default", resource="pods"), False),
        ({"apiGroups": ["apps"]}, Attributes(JANE, "get", "default", resource="pods"), False),
        ({}, url(JANE, "/version"), False),
    ],
)
def test_rules_for_resources(rule: dict[str, Any], asked: Attributes, matches: bool) -> None:
    (ours,) = (
        each
        for each in schemas([schema("ours", 5, ANYBODY, resourceRules=[resource_rule(**rule)])], ALL)
        if each.name == "ours"
    )
    assert ours.matches(asked) is matches


def test_rules_for_paths_end_with_a_star() -> None:
    rule = {"verbs": ["get"], "nonResourceURLs": ["/openapi/*", "/version"]}
    compiled = schemas([schema("ours", 5, ANYBODY, nonResourceRules=[rule])], ALL)
    found = [choose(compiled, url(JANE, path)).name for path in ("/openapi/v3", "/version", "/version/x", "/openapi")]
    assert found == ["ours", "ours", "catch-all", "catch-all"]


def test_precedence_decides_and_then_the_name() -> None:
    rules = {"resourceRules": [resource_rule()]}
    some = [schema("b", 50, ANYBODY, **rules), schema("a", 50, ANYBODY, **rules), schema("ci", 7, IN_CI, **rules)]
    compiled = schemas(some, ALL)
    assert [each.name for each in compiled] == ["exempt", "ci", "a", "b", "catch-all"]
    assert choose(compiled, Attributes(JANE, "get", "x", resource="pods")).name == "a"
    assert choose(compiled, Attributes(BUILDER, "get", "x", resource="pods")).name == "ci"
    assert choose(compiled, Attributes(SYSTEM, "get", "x", resource="pods")).name == "a"


def test_a_schema_without_its_level_is_not_used() -> None:
    compiled = schemas([schema("a", 50, ANYBODY, resourceRules=[resource_rule()])], {"exempt": 1, "catch-all": 1})
    assert [each.name for each in compiled] == ["exempt", "catch-all"]


@pytest.mark.parametrize(("by", "flow"), [("ByUser", "jane"), ("ByNamespace", "team"), ("", "")])
def test_flows_are_told_apart(by: str, flow: str) -> None:
    compiled = schemas([schema("a", 50, ANYBODY, by, resourceRules=[resource_rule()])], ALL)
    asked = Attributes(JANE, "get", "team", resource="pods")
    assert choose(compiled, asked).distinguisher(asked) == flow
