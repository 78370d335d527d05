"""Which flow schema a request belongs to: the first that matches, by precedence, then by name. PURE.

Source: ``util/flowcontrol/rule.go`` of k8s.io/apiserver.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from picluster.api.types import Object
from picluster.api.validation.flowcontrol import MANDATORY_FLOW_SCHEMAS
from picluster.apiserver.authz.attributes import Attributes

ANY = "*"
ACCOUNT = "system:serviceaccount:"
CATCH_ALL = "catch-all"


class _ResourceRule(NamedTuple):
    verbs: frozenset[str]
    groups: frozenset[str]
    resources: frozenset[str]
    namespaces: frozenset[str]
    cluster_scope: bool

    def matches(self, asked: Attributes) -> bool:
        if not _has(self.verbs, asked.verb) or not _has(self.groups, asked.group):
            return False
        if not _has(self.resources, asked.qualified):
            return False
        return _has(self.namespaces, asked.namespace) if asked.namespace else self.cluster_scope


class _UrlRule(NamedTuple):
    verbs: frozenset[str]
    urls: tuple[str, ...]

    def matches(self, asked: Attributes) -> bool:
        return _has(self.verbs, asked.verb) and any(_url_matches(url, asked.path) for url in self.urls)


class _Rule(NamedTuple):
    """``accounts`` are the beginnings of the names of all service accounts of a namespace."""

    users: frozenset[str]
    groups: frozenset[str]
    accounts: tuple[str, ...]
    resources: tuple[_ResourceRule, ...]
    urls: tuple[_UrlRule, ...]

    def matches(self, asked: Attributes) -> bool:
        rules: tuple[_ResourceRule, ...] | tuple[_UrlRule, ...] = self.resources if asked.is_resource else self.urls
        return self._concerns(asked) and any(rule.matches(asked) for rule in rules)

    def _concerns(self, asked: Attributes) -> bool:
        name, groups = asked.user.name, asked.user.groups
        if _has(self.users, name) or ANY in self.groups or not self.groups.isdisjoint(groups):
            return True
        return bool(self.accounts) and name.startswith(self.accounts)


class Schema(NamedTuple):
    """``by`` is how flows are told apart: ``ByUser``, ``ByNamespace``, or empty when all are one."""

    name: str
    uid: str
    level: str
    precedence: int
    by: str
    rules: tuple[_Rule, ...]

    def matches(self, asked: Attributes) -> bool:
        return any(rule.matches(asked) for rule in self.rules)

    def distinguisher(self, asked: Attributes) -> str:
        return {"ByUser": asked.user.name, "ByNamespace": asked.namespace}.get(self.by, "")


def schemas(objects: Iterable[Object], levels: Mapping[str, object]) -> tuple[Schema, ...]:
    """Compiled, in the order in which they are tried. A schema whose level is not in ``levels`` is not used; the
    mandatory ones are there whatever ``objects`` are.
    """
    found = {name: _schema(name, "", spec) for name, spec in MANDATORY_FLOW_SCHEMAS.items()}
    for obj in objects:
        metadata = obj["metadata"]
        found[metadata["name"]] = _schema(metadata["name"], metadata.get("uid", ""), obj["spec"])
    used = [schema for schema in found.values() if schema.level in levels]
    return tuple(sorted(used, key=lambda schema: (schema.precedence, schema.name)))


def choose(ordered: Iterable[Schema], asked: Attributes) -> Schema:
    """The schema of a request; whom nothing matches (a user without groups) is caught as everybody else is."""
    last = None
    for schema in ordered:
        if schema.matches(asked):
            return schema
        if schema.name == CATCH_ALL:
            last = schema
    assert last is not None
    return last


def _schema(name: str, uid: str, spec: Object) -> Schema:
    level = spec["priorityLevelConfiguration"]["name"]
    by = (spec.get("distinguisherMethod") or {}).get("type") or ""
    rules = tuple(_rule(rule) for rule in spec.get("rules") or ())
    return Schema(name, uid, level, spec.get("matchingPrecedence") or 0, by, rules)


def _rule(rule: Object) -> _Rule:
    users, groups, accounts = set(), set(), set()
    for subject in rule.get("subjects") or ():
        if subject["kind"] == "User":
            users.add(subject["user"]["name"])
        elif subject["kind"] == "Group":
            groups.add(subject["group"]["name"])
        else:
            account = subject["serviceAccount"]
            prefix = f"{ACCOUNT}{account['namespace']}:"
            if account["name"] == ANY:
                accounts.add(prefix)
            else:
                users.add(prefix + account["name"])
    resources = tuple(_resource_rule(each) for each in rule.get("resourceRules") or ())
    urls = tuple(
        _UrlRule(frozenset(each.get("verbs") or ()), tuple(each.get("nonResourceURLs") or ()))
        for each in rule.get("nonResourceRules") or ()
    )
    return _Rule(frozenset(users), frozenset(groups), tuple(sorted(accounts)), resources, urls)


def _resource_rule(rule: Object) -> _ResourceRule:
    verbs, groups, resources, namespaces = (
        frozenset(rule.get(field) or ()) for field in ("verbs", "apiGroups", "resources", "namespaces")
    )
    return _ResourceRule(verbs, groups, resources, namespaces, bool(rule.get("clusterScope")))


def _has(named: frozenset[str], value: str) -> bool:
    return value in named or ANY in named


def _url_matches(rule: str, path: str) -> bool:
    return rule == path or (rule.endswith(ANY) and path.startswith(rule.rstrip(ANY)))
