"""Discovery and OpenAPI of several servers as one."""

from __future__ import annotations

from typing import Any, cast

import pytest

from picluster.apiserver.aggregation import merge
from picluster.apiserver.aggregation.backends import Backends, Unanswered
from picluster.apiserver.aggregation.documents import ForeignDocuments
from picluster.apiserver.aggregation.priorities import Priority, local, priority
from picluster.apiserver.aggregation.services import ApiService, ApiServices
from picluster.apiserver.cache.watchcache import WatchCache
from picluster.apiserver.catalog import Catalog

A = ("a.example.com", "v1")


def test_groups_and_versions_come_by_priority_then_by_name() -> None:
    priorities = {
        ("", "v1"): Priority(18000, 1),
        ("b.example.com", "v1"): Priority(1000, 100),
        ("a.example.com", "v1"): Priority(1000, 100),
        ("a.example.com", "v2"): Priority(1000, 100),
        ("a.example.com", "v1beta1"): Priority(1000, 200),
        ("late.example.com", "v1"): Priority(10, 1000),
        ("mixed.example.com", "v1"): Priority(10, 1),
        ("mixed.example.com", "v2"): Priority(5000, 1),
    }
    assert merge.ordered(priorities) == {
        "mixed.example.com": ["v2", "v1"],
        "a.example.com": ["v1beta1", "v2", "v1"],
        "b.example.com": ["v1"],
        "late.example.com": ["v1"],
    }


def test_a_group_names_the_version_it_prefers() -> None:
    priorities = {A: Priority(1, 1), ("a.example.com", "v2"): Priority(1, 2)}
    group = merge.group(priorities, "a.example.com")
    assert group is not None
    assert group["preferredVersion"] == {"groupVersion": "a.example.com/v2", "version": "v2"}
    assert merge.group(priorities, "none.example.com") is None
    assert [each["name"] for each in merge.group_list(priorities)["groups"]] == ["a.example.com"]


def test_our_own_groups_have_kubernetes_priorities() -> None:
    assert priority("autoscaling", "v2") == Priority(17500, 30)
    assert priority("stable.example.com", "v1") == Priority(1000, 100)
    assert local("", "v1", "onstart")["spec"] == {
        "version": "v1", "groupPriorityMinimum": 18000, "versionPriority": 1,
    }  # fmt: skip


def test_what_answers_late_is_stale_and_what_answers_is_current() -> None:
    assert merge.version_discovery(*A, None) == {"version": "v1", "resources": [], "freshness": "Stale"}
    listed = {
        "resources": [
            {"name": "things/scale", "kind": "Scale", "group": "autoscaling", "version": "v1", "verbs": ["get"]},
            {"name": "things", "kind": "Thing", "namespaced": True, "singularName": "thing", "verbs": ["list"]},
        ]
    }
    assert merge.version_discovery(*A, listed) == {
        "version": "v1",
        "freshness": "Current",
        "resources": [
            {
                "resource": "things",
                "scope": "Namespaced",
                "singularResource": "thing",
                "responseKind": {"group": "a.example.com", "version": "v1", "kind": "Thing"},
                "verbs": ["list"],
                "subresources": [
                    {
                        "subresource": "scale",
                        "responseKind": {"group": "autoscaling", "version": "v1", "kind": "Scale"},
                        "verbs": ["get"],
                    }
                ],
            }
        ],
    }


def test_a_foreign_definition_never_replaces_ours() -> None:
    ours: dict[str, Any] = {"paths": {"/api/v1/pods": {}}, "definitions": {"Meta": {"x": 1}, "Same": {"y": 1}}}
    refers = {"schema": {"$ref": "#/definitions/Thing"}}
    theirs = {
        "paths": {"/apis/a.example.com/v1/things": refers, "/apis/a.example.com/v10/x": {}, "/api/v1/pods": {"bad": 1}},
        "definitions": {
            "Thing": {"meta": {"$ref": "#/definitions/Meta"}, "same": {"$ref": "#/definitions/Same"}},
            "Meta": {"x": 2},
            "Same": {"y": 1},
            "Unused": {},
        },
    }
    merged = merge.swagger(ours, [("/apis/a.example.com/v1", theirs)])
    assert merged["paths"] == {"/api/v1/pods": {}, "/apis/a.example.com/v1/things": refers}
    assert merged["definitions"] == {
        "Meta": {"x": 1},
        "Same": {"y": 1},
        "Thing": {"meta": {"$ref": "#/definitions/Meta_v2"}, "same": {"$ref": "#/definitions/Same"}},
        "Meta_v2": {"x": 2},
    }
    assert ours["definitions"] == {"Meta": {"x": 1}, "Same": {"y": 1}}


class _Backends:
    """An extension server that answers what a test says."""

    def __init__(self, bodies: dict[str, bytes]) -> None:
        self._bodies = bodies

    async def get(self, service: ApiService, path: str, accept: str, timeout_s: float, limit_bytes: int) -> bytes:
        if path not in self._bodies:
            raise Unanswered("none")
        return self._bodies[path]


@pytest.mark.parametrize(
    "bodies",
    [
        {},
        {"/apis/a.example.com/v1": b"no JSON", "/openapi/v2": b"[]", "/openapi/v3": b'{"paths":[]}'},
        {
            "/apis/a.example.com/v1": b'{"resources":[{"name":7}]}',
            "/openapi/v2": b'{"paths":{"/apis/a.example.com/v1/x":{"get":{"parameters":[1]}}},"definitions":[]}',
            "/openapi/v3": b'{"paths":{"apis/a.example.com/v1":7}}',
        },
        {"/apis/a.example.com/v1": b'{"resources":7}', "/openapi/v2": b'{"paths":7}', "/openapi/v3": b"7"},
        {"/openapi/v2": b'{"paths":{"/apis/a.example.com/v1/x":' + b'{"a":' * 900 + b"1" + b"}" * 900 + b"}}"},
    ],
)
async def test_a_server_that_describes_itself_badly_spoils_nothing(bodies: dict[str, bytes]) -> None:
    catalog = Catalog()
    services = ApiServices(WatchCache(), catalog)
    service = ApiService("v1.a.example.com", *A, Priority(1, 1), "default", "a", available=True)
    services.delegated[A] = service
    documents = ForeignDocuments(services, cast(Backends, _Backends(bodies)), catalog)
    await documents.refresh(service)
    assert documents.discovered()[A]["version"] == "v1"
    merge.swagger({"paths": {}, "definitions": {}}, documents.swaggers())
    assert set(documents.v3_index()) <= {"apis/a.example.com/v1"}
