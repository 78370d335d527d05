"""Audit policies: which rule decides, what is never logged, and what a policy must say."""

from __future__ import annotations

from typing import Any

import pytest

from picluster.apiserver.audit.default import POLICY
from picluster.apiserver.audit.policy import LEVELS, PolicyError, parse
from picluster.apiserver.authn import AUTHENTICATED, User
from picluster.apiserver.catalog import Catalog
from picluster.apiserver.requestinfo import request_info

CATALOG = Catalog()
ALICE = User("alice", frozenset({"ops", AUTHENTICATED}))
NODE = User("system:node:pi-1", frozenset({"system:nodes", AUTHENTICATED}))
PODS = "/api/v1/namespaces/default/pods"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/pi-1"


def document(*rules: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": list(rules), **more}


def level(rules: Any, user: User, method: str, path: str) -> str:
    policy = parse(document(*rules) if isinstance(rules, tuple) else rules, "x")
    return LEVELS[policy.scope(user, request_info(method, path, CATALOG)).level]


@pytest.mark.parametrize(
    ("rule", "method", "path", "matches"),
    [
        ({}, "GET", PODS, True),
        ({"users": ["alice"]}, "GET", PODS, True),
        ({"users": ["bob"]}, "GET", PODS, False),
        ({"userGroups": ["ops"]}, "GET", PODS, True),
        ({"verbs": ["list"]}, "GET", PODS, True),
        ({"verbs": ["list"]}, "GET", f"{PODS}/a", False),
        ({"namespaces": ["default"]}, "GET", PODS, True),
        ({"namespaces": [""]}, "GET", "/api/v1/nodes", True),
        ({"namespaces": ["other"]}, "GET", PODS, False),
        ({"resources": [{"group": ""}]}, "GET", PODS, True),
        ({"resources": [{"group": "apps"}]}, "GET", PODS, False),
        ({"resources": [{"group": "", "resources": ["pods"]}]}, "GET", f"{PODS}/a/log", False),
        ({"resources": [{"group": "", "resources": ["pods/log"]}]}, "GET", f"{PODS}/a/log", True),
        ({"resources": [{"group": "", "resources": ["pods/*"]}]}, "GET", f"{PODS}/a/log", True),
        ({"resources": [{"group": "", "resources": ["*/log"]}]}, "GET", f"{PODS}/a/log", True),
        ({"resources": [{"group": "", "resources": ["pods"], "resourceNames": ["a"]}]}, "GET", f"{PODS}/a", True),
        ({"resources": [{"group": "", "resources": ["pods"], "resourceNames": ["a"]}]}, "GET", f"{PODS}/b", False),
        ({"nonResourceURLs": ["/healthz*"]}, "GET", "/healthz/ping", True),
        ({"nonResourceURLs": ["/healthz"]}, "GET", "/healthz/ping", False),
        ({"nonResourceURLs": ["*"]}, "GET", PODS, False),
        ({"resources": [{"group": ""}]}, "GET", "/version", False),
    ],
)
def test_a_rule_matches_as_kubernetes_has_it(rule: dict[str, Any], method: str, path: str, matches: bool) -> None:
    found = level(({"level": "Metadata", **rule},), ALICE, method, path)
    assert (found == "Metadata") is matches


def test_the_first_rule_decides_and_nothing_is_logged_without_one() -> None:
    rules = ({"level": "None", "verbs": ["list"]}, {"level": "Request", "users": ["alice"]})
    assert level(rules, ALICE, "GET", PODS) == "None"
    assert level(rules, ALICE, "POST", PODS) == "Request"
    assert level(rules, NODE, "POST", PODS) == "None"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/v1/namespaces/default/secrets"),
        ("GET", "/api/v1/secrets"),
        ("POST", "/apis/authentication.k8s.io/v1/tokenreviews"),
        ("POST", "/api/v1/namespaces/default/serviceaccounts/default/token"),
    ],
)
def test_credentials_are_never_logged_whatever_the_policy_says(method: str, path: str) -> None:
    assert level(({"level": "RequestResponse"},), ALICE, method, path) == "Metadata"


def test_stages_and_managed_fields_are_left_out_by_policy_and_rule() -> None:
    rule = {"level": "Metadata", "omitStages": ["ResponseStarted"], "omitManagedFields": False}
    policy = parse(document(rule, omitStages=["RequestReceived"], omitManagedFields=True), "x")
    scope = policy.scope(ALICE, request_info("GET", PODS, CATALOG))
    assert scope.omitted == {"RequestReceived", "ResponseStarted"} and not scope.omit_managed_fields


@pytest.mark.parametrize(
    ("user", "method", "path", "wanted"),
    [
        (ALICE, "POST", PODS, "Metadata"),
        (ALICE, "DELETE", f"{PODS}/a", "Metadata"),
        (ALICE, "POST", f"{PODS}/a/exec", "Metadata"),
        (ALICE, "GET", PODS, "None"),
        (ALICE, "GET", "/version", "None"),
        (ALICE, "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "None"),
        (NODE, "PUT", LEASE, "None"),
        (NODE, "PATCH", "/api/v1/nodes/pi-1/status", "None"),
        (User("system:kube-scheduler", frozenset({AUTHENTICATED})), "POST", f"{PODS}/a/binding", "None"),
    ],
)
def test_by_default_people_leave_traces_and_machines_do_not(user: User, method: str, path: str, wanted: str) -> None:
    assert level(POLICY, user, method, path) == wanted


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"kind": "Other"}, "it must be a Policy"),
        (document({"level": "All"}), "known are None, Metadata, Request, RequestResponse"),
        (document({"level": "None", "omitStages": ["Later"]}), "must be a list of RequestReceived"),
        (document({"level": "None", "nonResourceURLs": ["/a"], "namespaces": ["b"]}), "cannot apply to both"),
        (document({"level": "None", "nonResourceURLs": ["a*b"]}), "must begin with /"),
        (document({"level": "None", "resources": [{"resourceNames": ["a"]}]}), "requires at least one resource"),
    ],
)
def test_a_policy_is_refused_with_its_place(content: Any, message: str) -> None:
    with pytest.raises(PolicyError, match=r"audit policy p\.yaml: ") as refused:
        parse(content, "p.yaml")
    assert message in str(refused.value)
