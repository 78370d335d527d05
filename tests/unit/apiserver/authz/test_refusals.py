"""What a request is about, and how it is refused."""

from __future__ import annotations

import pytest

from picluster.apiserver.authn import User
from picluster.apiserver.authz.attributes import Attributes, Requirement, of_request, of_unknown
from picluster.apiserver.authz.chain import is_public, refusal
from picluster.apiserver.catalog import Catalog
from picluster.apiserver.requestinfo import request_info

CATALOG = Catalog()
WIDGET = "/apis/example.com/v1/namespaces/y/widgets/w"
GADGETS = "/api/v1/gadgets"
X = User("x", frozenset({"system:authenticated"}))


@pytest.mark.parametrize(
    ("method", "path", "reason", "message"),
    [
        ("GET", "/api/v1/namespaces/y/pods", "",
         'pods is forbidden: User "x" cannot list resource "pods" in API group "" in the namespace "y"'),
        ("GET", "/api/v1/namespaces/y/pods/p/log", "",
         'pods "p" is forbidden: User "x" cannot get resource "pods/log" in API group "" in the namespace "y"'),
        ("DELETE", "/apis/apps/v1/namespaces/y/deployments", "",
         'deployments.apps is forbidden: User "x" cannot deletecollection resource "deployments" in API group "apps" in'
         ' the namespace "y"'),
        ("GET", "/api/v1/nodes?watch=1", "because",
         'nodes is forbidden: User "x" cannot watch resource "nodes" in API group "" at the cluster scope: because'),
        ("GET", "/api/v1/namespaces/y", "",
         'namespaces "y" is forbidden: User "x" cannot get resource "namespaces" in API group "" in the namespace "y"'),
        ("GET", "/metrics", "", 'forbidden: User "x" cannot get path "/metrics"'),
        ("POST", "/metrics", "", 'forbidden: User "x" cannot post path "/metrics"'),
    ],
)  # fmt: skip
def test_a_refusal_has_kubernetes_words(method: str, path: str, reason: str, message: str) -> None:
    error = refusal(of_request(X, request_info(method, path, CATALOG)), reason)
    assert (error.code, error.reason, error.message) == (403, "Forbidden", message)


def test_a_list_of_one_name_is_about_that_name() -> None:
    path = "/api/v1/namespaces/y/secrets?fieldSelector=metadata.name%3Ds"
    asked = of_request(X, request_info("GET", path, CATALOG))
    assert (asked.verb, asked.name, asked.fields) == ("list", "s", (Requirement("metadata.name", "=", ("s",)),))
    unread = of_request(X, request_info("GET", "/api/v1/namespaces/y/secrets?fieldSelector=no%3Ds", CATALOG))
    assert (unread.name, unread.fields) == ("", ())


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", WIDGET,
         Attributes(X, "get", "y", "example.com", "v1", "widgets", "", "w", WIDGET)),
        ("GET", "/api/v1/gadgets?watch=1", Attributes(X, "watch", "", "", "v1", "gadgets", path=GADGETS)),
        ("DELETE", GADGETS, Attributes(X, "deletecollection", "", "", "v1", "gadgets", path=GADGETS)),
        ("GET", "/nonsense", Attributes(X, "get", path="/nonsense", is_resource=False)),
    ],
)  # fmt: skip
def test_what_is_not_served_has_attributes_too(method: str, path: str, expected: Attributes) -> None:
    assert of_unknown(X, method, path) == expected


@pytest.mark.parametrize("path", ["/healthz", "/livez/ping", "/readyz", "/version", "/version/"])
def test_health_and_version_are_public(path: str) -> None:
    assert is_public(path)


@pytest.mark.parametrize("path", ["/", "/api", "/healthzzz", "/metrics", "/versions"])
def test_nothing_else_is_public(path: str) -> None:
    assert not is_public(path)
