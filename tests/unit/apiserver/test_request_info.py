from __future__ import annotations

import pytest

from picluster.api.errors import ApiError
from picluster.api.resources import DEPLOYMENTS, NAMESPACES, NODES, PODS, Resource
from picluster.apiserver.catalog import Catalog
from picluster.apiserver.requestinfo import flag, number, request_info

CATALOG = Catalog()


@pytest.mark.parametrize(
    ("method", "path", "verb", "resource", "namespace", "name", "subresource"),
    [
        ("GET", "/api/v1/pods", "list", PODS, "", "", ""),
        ("GET", "/api/v1/pods?watch=true", "watch", PODS, "", "", ""),
        ("GET", "/api/v1/pods?watch", "watch", PODS, "", "", ""),
        ("GET", "/api/v1/pods?watch=0", "list", PODS, "", "", ""),
        ("GET", "/api/v1/namespaces/a/pods", "list", PODS, "a", "", ""),
        ("POST", "/api/v1/namespaces/a/pods", "create", PODS, "a", "", ""),
        ("DELETE", "/api/v1/namespaces/a/pods", "deletecollection", PODS, "a", "", ""),
        ("GET", "/api/v1/namespaces/a/pods/p", "get", PODS, "a", "p", ""),
        ("HEAD", "/api/v1/namespaces/a/pods/p", "get", PODS, "a", "p", ""),
        ("PUT", "/api/v1/namespaces/a/pods/p/status", "update", PODS, "a", "p", "status"),
        ("PATCH", "/apis/apps/v1/namespaces/a/deployments/d/scale", "patch", DEPLOYMENTS, "a", "d", "scale"),
        ("DELETE", "/api/v1/nodes/n", "delete", NODES, "", "n", ""),
        ("GET", "/api/v1/namespaces", "list", NAMESPACES, "", "", ""),
        ("GET", "/api/v1/namespaces/a", "get", NAMESPACES, "", "a", ""),
        ("PUT", "/api/v1/namespaces/a/finalize", "update", NAMESPACES, "", "a", "finalize"),
        ("PUT", "/api/v1/namespaces/a/status", "update", NAMESPACES, "", "a", "status"),
        ("GET", "/api/v1/namespaces/a/pods/p%2Dq/", "get", PODS, "a", "p-q", ""),
    ],
)
def test_resource_paths(
    method: str, path: str, verb: str, resource: Resource, namespace: str, name: str, subresource: str
) -> None:
    info = request_info(method, path, CATALOG)
    target = info.target
    assert (info.verb, target.resource) == (verb, resource)
    assert (target.namespace, target.name, target.subresource) == (namespace, name, subresource)


@pytest.mark.parametrize(
    "path", ["/", "/version", "/api", "/api/v1", "/apis", "/apis/apps", "/apis/apps/v1", "/openapi/v3"]
)
def test_other_paths(path: str) -> None:
    info = request_info("GET", path, CATALOG)
    assert (info.target.resource, info.verb, info.path) == (None, "get", path)


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/frobs",
        "/api/v2/pods",
        "/apis/apps/v1/pods",
        "/api/v1/pods/p",
        "/api/v1/namespaces/a/nodes",
        "/api/v1/namespaces/a/pods/p/frob",
        "/apis/apps/v1/namespaces/a/replicasets/r/log",
    ],
)
def test_paths_that_lead_nowhere(path: str) -> None:
    with pytest.raises(ApiError, match="could not find the requested resource") as refused:
        request_info("GET", path, CATALOG)
    assert refused.value.code == 404


def test_the_first_of_several_values_counts_and_escapes_are_read() -> None:
    query = request_info("GET", "/api/v1/pods?labelSelector=a%3Db%2Cc+in+(d)&limit=5&limit=6", CATALOG).query
    assert query == {"labelSelector": "a=b,c in (d)", "limit": "5"}


def test_flags_and_numbers() -> None:
    query = {"on": "", "off": "false", "bad": "maybe", "number": "7", "empty": ""}
    assert (flag(query, "on"), flag(query, "off"), flag(query, "absent")) == (True, False, False)
    assert [flag({"x": value}, "x") for value in ("0", "False", "f", "1", "bad")] == [False, False, True, True, True]
    assert (number(query, "number"), number(query, "empty"), number(query, "absent")) == (7, None, None)
    with pytest.raises(ApiError, match="invalid syntax"):
        number(query, "bad")
