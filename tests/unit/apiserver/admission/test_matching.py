"""Which requests a webhook or a policy concerns, and what its expressions see of them."""

from __future__ import annotations

from typing import Any

import pytest

from picluster.api import errors, serialize
from picluster.api.cel import CelError
from picluster.api.resources import (
    CORE_EVENTS,
    DEPLOYMENTS,
    EVENTS,
    NAMESPACES,
    NODES,
    PODS,
    RESOURCES,
    VALIDATING_ADMISSION_POLICIES,
    Resource,
)
from picluster.api.types import Object
from picluster.apiserver.admission.chain import Attributes
from picluster.apiserver.admission.matching import MatchConditions, Matcher, admission_request, bindings, exempt
from picluster.apiserver.authn import User
from picluster.apiserver.cache.watchcache import WatchCache

USER = User("ann", frozenset({"b", "a"}), uid="7", extra=(("scope", ("x", "y")),))


@pytest.fixture(scope="module")
def cache() -> WatchCache:
    cache = WatchCache()
    namespace = {"metadata": {"name": "prod", "labels": {"env": "prod"}}, "spec": {}, "status": {"phase": "Active"}}
    cache.apply([(1, "namespaces//prod", serialize.encode({**namespace, "kind": "Namespace", "apiVersion": "v1"}))])
    return cache


def asks(
    resource: Resource = PODS,
    operation: str = "CREATE",
    *,
    subresource: str = "",
    namespace: str = "prod",
    name: str = "x",
    labels: dict[str, str] | None = None,
    old: dict[str, str] | None = None,
) -> Attributes:
    """A request; ``labels`` and ``old`` are those of its objects."""
    obj: Object = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": {"labels": labels or {}}}
    before: Object | None = None if old is None else {**obj, "metadata": {"labels": old}}
    if not resource.namespaced:
        namespace = ""
    new = None if operation == "DELETE" else obj
    return Attributes(USER, operation, resource, subresource, namespace, name, new, before)


def rule(**changes: Any) -> Object:
    return {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"], **changes}


@pytest.mark.parametrize(
    ("changes", "attributes", "expected"),
    [
        ({}, asks(), True),
        ({}, asks(operation="UPDATE"), False),
        ({"operations": ["*"]}, asks(operation="CONNECT"), True),
        ({}, asks(DEPLOYMENTS), False),
        ({"apiGroups": ["*"], "resources": ["*"]}, asks(DEPLOYMENTS), True),
        ({"apiVersions": ["v2"]}, asks(), False),
        ({}, asks(subresource="status"), False),
        ({"resources": ["pods/status"]}, asks(subresource="status"), True),
        ({"resources": ["pods/status"]}, asks(), False),
        ({"resources": ["pods/*"]}, asks(), True),
        ({"resources": ["*/status"]}, asks(subresource="status"), True),
        ({"resources": ["*"]}, asks(subresource="status"), False),
        ({"resources": ["*/*"]}, asks(subresource="status"), True),
        ({"scope": "Namespaced"}, asks(), True),
        ({"scope": "Cluster"}, asks(), False),
        ({"resources": ["nodes"], "scope": "Cluster"}, asks(NODES), True),
        ({"resources": ["namespaces"], "scope": "Cluster"}, asks(NAMESPACES), True),
        ({"resources": ["namespaces"], "scope": "Namespaced"}, asks(NAMESPACES), False),
        ({"resourceNames": ["x"]}, asks(), True),
        ({"resourceNames": ["y"]}, asks(), False),
    ],
)
def test_rules(cache: WatchCache, changes: Object, attributes: Attributes, expected: bool) -> None:
    matcher = Matcher.of_resources({"resourceRules": [rule(**changes)]})
    assert (matcher.match(attributes, cache, RESOURCES) is not None) is expected


@pytest.mark.parametrize(
    ("selectors", "attributes", "expected"),
    [
        ({"namespaceSelector": {"matchLabels": {"env": "prod"}}}, asks(), True),
        ({"namespaceSelector": {"matchLabels": {"env": "test"}}}, asks(), False),
        ({"namespaceSelector": {"matchLabels": {"env": "test"}}}, asks(NODES), True),
        ({"namespaceSelector": {"matchLabels": {"env": "new"}}}, asks(NAMESPACES, labels={"env": "new"}), True),
        ({"namespaceSelector": {"matchLabels": {"env": "prod"}}}, asks(NAMESPACES, "DELETE", name="prod"), True),
        ({"objectSelector": {"matchLabels": {"a": "b"}}}, asks(labels={"a": "b"}), True),
        ({"objectSelector": {"matchLabels": {"a": "b"}}}, asks(), False),
        ({"objectSelector": {"matchLabels": {"a": "b"}}}, asks(operation="UPDATE", old={"a": "b"}), True),
        ({"objectSelector": {"matchLabels": {"a": "b"}}}, asks(operation="DELETE", old={"a": "b"}), True),
        ({"objectSelector": {}, "namespaceSelector": {}}, asks(), True),
        ({"excludeResourceRules": [rule()]}, asks(), False),
        ({"excludeResourceRules": [rule(resources=["nodes"])]}, asks(), True),
    ],
)
def test_selectors_and_exclusions(cache: WatchCache, selectors: Object, attributes: Attributes, expected: bool) -> None:
    """Without rules of its own a binding matches whatever its selectors select."""
    assert (Matcher.of_resources(selectors).match(attributes, cache, RESOURCES) is not None) is expected


def test_a_webhook_without_rules_is_never_asked(cache: WatchCache) -> None:
    assert Matcher.of_webhook({}).match(asks(), cache, RESOURCES) is None


def test_a_namespace_that_is_not_there_is_an_error_only_when_it_matters(cache: WatchCache) -> None:
    selector = {"namespaceSelector": {"matchLabels": {"env": "prod"}}}
    gone = asks(namespace="gone")
    assert (
        Matcher.of_resources({**selector, "resourceRules": [rule(resources=["nodes"])]}).match(gone, cache, ()) is None
    )
    with pytest.raises(errors.ApiError, match='namespaces "gone" not found'):
        Matcher.of_resources({**selector, "resourceRules": [rule()]}).match(gone, cache, RESOURCES)


@pytest.mark.parametrize(("policy", "expected"), [("Equivalent", EVENTS), ("Exact", None)])
def test_other_versions_match_when_they_are_equivalent(
    cache: WatchCache, policy: str, expected: Resource | None
) -> None:
    constraints = {"resourceRules": [rule(apiGroups=["events.k8s.io"], resources=["events"])], "matchPolicy": policy}
    assert Matcher.of_resources(constraints).match(asks(CORE_EVENTS), cache, RESOURCES) is expected


def test_what_governs_admission_is_exempt_from_it() -> None:
    assert exempt(VALIDATING_ADMISSION_POLICIES)
    assert not exempt(PODS)


def test_the_request_that_expressions_see() -> None:
    attributes = asks(subresource="status", operation="UPDATE")
    attributes.dry_run, attributes.options = True, {"kind": "UpdateOptions"}
    kind = {"group": "", "version": "v1", "kind": "Pod"}
    resource = {"group": "", "version": "v1", "resource": "pods"}
    assert admission_request(attributes, PODS) == {
        "kind": kind, "requestKind": kind, "resource": resource, "requestResource": resource, "name": "x",
        "namespace": "prod", "operation": "UPDATE", "subResource": "status", "requestSubResource": "status",
        "userInfo": {"username": "ann", "groups": ["a", "b"], "uid": "7", "extra": {"scope": ["x", "y"]}},
        "dryRun": True, "options": {"kind": "UpdateOptions"},
    }  # fmt: skip


def test_the_kind_of_a_subresource_is_that_of_its_body() -> None:
    attributes = asks(DEPLOYMENTS, "UPDATE", subresource="scale")
    assert attributes.obj is not None
    attributes.obj.update(apiVersion="autoscaling/v1", kind="Scale")
    assert admission_request(attributes, DEPLOYMENTS)["kind"] == {
        "group": "autoscaling", "version": "v1", "kind": "Scale",
    }  # fmt: skip


def conditions(*expressions: str) -> MatchConditions:
    return MatchConditions([{"name": "c", "expression": each} for each in expressions])


def test_conditions_must_all_hold_and_a_false_one_outweighs_errors(cache: WatchCache) -> None:
    variables = bindings(asks(labels={"a": "b"}), PODS, cache, None)
    assert conditions("object.metadata.labels.a == 'b'", "namespaceObject.metadata.labels.env == 'prod'").hold(
        variables
    )
    assert not conditions("object.nope == 1", "request.name == 'y'").hold(variables)
    with pytest.raises(CelError) as raised:
        conditions("object.nope == 1", "true", "oldObject.x == 1").hold(variables)
    assert str(raised.value) == (
        "[expression 'object.nope == 1' resulted in error: no such key: nope,"
        " expression 'oldObject.x == 1' resulted in error: no such key: x]"
    )
