"""Policy rules: what they allow, and what covers what."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picluster.apiserver.authn import User
from picluster.apiserver.authz.attributes import Attributes
from picluster.apiserver.authz.rules import FULL_AUTHORITY, Rule, allows, compact, missing, read, text

GET_PODS = '{APIGroups:[""], Resources:["pods"], Verbs:["get"]}'
LIST_PODS = '{APIGroups:[""], Resources:["pods"], Verbs:["list"]}'
GET_DEPLOYMENTS = '{APIGroups:["apps"], Resources:["deployments"], Verbs:["get"]}'
ANN = User("ann", frozenset({"system:authenticated"}))


def on(verb: str, resource: str, group: str = "", name: str = "", subresource: str = "") -> Attributes:
    return Attributes(ANN, verb, "default", group, "v1", resource, subresource, name)


def rule(verbs: str, groups: str, resources: str, names: str = "") -> Rule:
    split = ["" if group == "core" else group for group in groups.split()]
    return Rule(tuple(verbs.split()), tuple(split), tuple(resources.split()), tuple(names.split()))


@pytest.mark.parametrize(
    ("given_rule", "asked", "allowed"),
    [
        (rule("get", "core", "pods"), on("get", "pods"), True),
        (rule("get", "core", "pods"), on("list", "pods"), False),
        (rule("*", "core", "pods"), on("anything", "pods"), True),
        (rule("get", "core", "pods"), on("get", "pods", "apps"), False),
        (rule("get", "*", "*"), on("get", "deployments", "apps", subresource="scale"), True),
        (rule("get", "core", "pods"), on("get", "pods", subresource="log"), False),
        (rule("get", "core", "pods/log"), on("get", "pods", subresource="log"), True),
        (rule("get", "core", "pods/log"), on("get", "pods"), False),
        (rule("update", "*", "*/scale"), on("update", "deployments", "apps", subresource="scale"), True),
        (rule("update", "*", "*/scale"), on("update", "deployments", "apps", subresource="status"), False),
        (rule("get", "core", "secrets", "a b"), on("get", "secrets", name="b"), True),
        (rule("get", "core", "secrets", "a b"), on("get", "secrets", name="c"), False),
        (rule("list", "core", "secrets", "a"), on("list", "secrets"), False),
    ],
)
def test_a_rule_allows_what_it_names(given_rule: Rule, asked: Attributes, allowed: bool) -> None:
    assert allows(given_rule, asked) is allowed


@pytest.mark.parametrize(
    ("url", "path", "allowed"),
    [
        ("/healthz", "/healthz", True),
        ("/healthz", "/healthz/etcd", False),
        ("/healthz/*", "/healthz/etcd", True),
        ("/healthz/*", "/healthz", False),
        ("*", "/anything", True),
        ("/api*", "/apis", True),
    ],
)
def test_a_trailing_star_stands_for_the_rest_of_a_path(url: str, path: str, allowed: bool) -> None:
    asked = Attributes(ANN, "get", path=path, is_resource=False)
    assert allows(Rule(("get",), nonResourceURLs=(url,)), asked) is allowed


@pytest.mark.parametrize(
    ("owned", "wanted", "lacking"),
    [
        ([rule("get list", "core", "pods")], [rule("get", "core", "pods")], []),
        ([rule("get", "core", "pods")], [rule("get list", "core", "pods")], [LIST_PODS]),
        ([rule("*", "*", "*")], [rule("get", "apps", "deployments", "a b")], []),
        ([rule("get", "core", "pods", "a")], [rule("get", "core", "pods")], [GET_PODS]),
        ([rule("get", "core", "pods", "a b")], [rule("get", "core", "pods", "a")], []),
        ([rule("get", "apps", "*/scale")], [rule("get", "apps", "deployments/scale")], []),
        ([rule("get", "apps", "*/scale")], [rule("get", "apps", "deployments")], [GET_DEPLOYMENTS]),
        ([rule("*", "*", "*")], list(FULL_AUTHORITY), ['{NonResourceURLs:["*"], Verbs:["*"]}']),
        ([Rule(("get",), nonResourceURLs=("/a*",))], [Rule(("get",), nonResourceURLs=("/ab", "/ac/*"))], []),
        ([], [rule("get list", "core", "pods")], ['{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}']),
    ],
)  # fmt: skip
def test_what_is_missing_is_told_compactly(owned: list[Rule], wanted: list[Rule], lacking: list[str]) -> None:
    assert [text(each) for each in compact(missing(owned, wanted))] == lacking


words = st.lists(st.sampled_from(["a", "b", "a/x", "*", "*/x"]), min_size=1, max_size=3).map(tuple)
some_rule = st.builds(Rule, verbs=words, apiGroups=words, resources=words, resourceNames=st.sampled_from([(), ("n",)]))


@given(st.lists(some_rule, max_size=3), some_rule, st.sampled_from("ab"), st.sampled_from("ab"), st.sampled_from("ab"))
def test_whoever_lacks_nothing_may_everything_that_is_granted(
    owned: list[Rule], wanted: Rule, verb: str, group: str, resource: str
) -> None:
    asked = on(verb, resource, group, "n", "x")
    if not missing(owned, [wanted]) and allows(wanted, asked):
        assert any(allows(each, asked) for each in owned)


def test_rules_are_read_from_objects() -> None:
    found = read([{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}])
    assert found == (rule("get", "core", "pods"),)
    assert read(None) == ()
