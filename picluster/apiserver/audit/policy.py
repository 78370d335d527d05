"""An audit policy (``audit.k8s.io/v1`` Policy), read, checked and asked.

The first rule that matches decides; nothing is logged where none does. Source: ``k8s.io/apiserver/pkg/audit/policy``.
What a rule looks at decides what answers are remembered by, so a request costs a look into a dictionary.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from picluster.apiserver.authn import User
from picluster.apiserver.requestinfo import RequestInfo

LEVELS = ("None", "Metadata", "Request", "RequestResponse")
STAGES = ("RequestReceived", "ResponseStarted", "ResponseComplete", "Panic")
METADATA = LEVELS.index("Metadata")
API_VERSIONS = ("audit.k8s.io/v1", "audit.k8s.io/v1beta1", "audit.k8s.io/v1alpha1")
REMEMBERED_MAX = 4096
NEVER_BODIES = frozenset({"secrets", "tokenreviews.authentication.k8s.io", "serviceaccounts/token"})
"""Resources whose bodies are credentials."""


class PolicyError(Exception):
    """A policy that cannot be used; the message names the file, the place and the cure."""


class Scope(NamedTuple):
    """How much of a request is logged: an index into ``LEVELS``, and at which stages not."""

    level: int
    omitted: frozenset[str]
    omit_managed_fields: bool


NOTHING = Scope(0, frozenset(), False)


@dataclass(frozen=True, slots=True)
class Resources:
    """Resources of one group; no ``names`` are all of it."""

    group: str
    resources: tuple[str, ...]
    names: tuple[str, ...]

    def covers(self, resource: str, subresource: str, name: str) -> bool:
        if not self.resources:
            return True
        if self.names and name not in self.names:
            return False
        combined = f"{resource}/{subresource}" if subresource else resource
        wanted = {combined, "*", f"{resource}/*", f"*/{subresource}" if subresource else "*"}
        return any(each in wanted for each in self.resources)


@dataclass(frozen=True, slots=True)
class Rule:
    scope: Scope
    users: frozenset[str]
    groups: frozenset[str]
    verbs: frozenset[str]
    namespaces: frozenset[str]
    resources: tuple[Resources, ...]
    paths: tuple[str, ...]

    def matches(self, user: User, info: RequestInfo) -> bool:
        if self.users and user.name not in self.users:
            return False
        if self.groups and not (self.groups & user.groups):
            return False
        if self.verbs and info.verb not in self.verbs:
            return False
        if self.namespaces or self.resources:
            return self._matches_resource(info)
        if self.paths:
            return info.target.resource is None and any(_path_matches(info.path, path) for path in self.paths)
        return True

    def _matches_resource(self, info: RequestInfo) -> bool:
        resource, target = info.target.resource, info.target
        if resource is None or (self.namespaces and target.namespace not in self.namespaces):
            return False
        if not self.resources:
            return True
        return any(
            each.group == resource.group and each.covers(resource.plural, target.subresource, target.name)
            for each in self.resources
        )


class Policy:
    def __init__(self, rules: tuple[Rule, ...]) -> None:
        self._rules = rules
        self._by_namespace = any(rule.namespaces for rule in rules)
        self._by_name = any(each.names for rule in rules for each in rule.resources)
        self._remembered: dict[tuple[Any, ...], Scope] = {}

        self._silent_groups, self._silent_users = _silent(rules)

    def scope(self, user: User, info: RequestInfo) -> Scope:
        if not self._silent_groups.isdisjoint(user.groups) or user.name in self._silent_users:
            return NOTHING
        target = info.target
        what = target.resource.id if target.resource is not None else info.path
        namespace = target.namespace if self._by_namespace else ""
        name = target.name if self._by_name else ""
        key = (user.name, user.groups, info.verb, what, target.subresource, namespace, name)
        found = self._remembered.get(key)
        if found is None:
            if len(self._remembered) >= REMEMBERED_MAX:
                self._remembered.clear()
            found = self._remembered[key] = self._decide(user, info)
        return found

    def _decide(self, user: User, info: RequestInfo) -> Scope:
        scope = next((rule.scope for rule in self._rules if rule.matches(user, info)), NOTHING)
        target = info.target
        if target.resource is not None and scope.level > METADATA:
            subresource = f"/{target.subresource}" if target.subresource else ""
            if {target.resource.id, f"{target.resource.id}{subresource}"} & NEVER_BODIES:
                return scope._replace(level=METADATA)
        return scope


def _silent(rules: tuple[Rule, ...]) -> tuple[frozenset[str], frozenset[str]]:
    """Groups and users of whom the first rules say that nothing is logged, whatever they do."""
    groups: frozenset[str] = frozenset()
    users: frozenset[str] = frozenset()
    for rule in rules:
        more = rule.verbs or rule.namespaces or rule.resources or rule.paths
        if rule.scope.level or more or bool(rule.groups) is bool(rule.users):
            break
        groups, users = groups | rule.groups, users | rule.users
    return groups, users


def load(path: Path) -> Policy:
    """Read and check; raises ``PolicyError``."""
    try:
        document = yaml.safe_load(path.read_bytes())
    except OSError as error:
        raise PolicyError(f"audit policy {path} cannot be read: {error.strerror}") from error
    except yaml.YAMLError:
        raise PolicyError(f"audit policy {path} is no YAML") from None
    return parse(document, str(path))


def parse(document: Any, source: str) -> Policy:
    """Check a decoded policy; ``source`` says where it is from."""
    try:
        if not isinstance(document, dict) or document.get("kind") != "Policy":
            raise ValueError("it must be a Policy")
        if document.get("apiVersion") not in API_VERSIONS:
            raise ValueError(f"apiVersion must be {API_VERSIONS[0]}")
        omitted = _stages(document.get("omitStages"), "omitStages")
        trimmed = bool(document.get("omitManagedFields"))
        rules = document.get("rules") or []
        return Policy(tuple(_rule(rule, f"rules[{index}]", omitted, trimmed) for index, rule in enumerate(rules)))
    except ValueError as error:
        raise PolicyError(f"audit policy {source}: {error}") from None


def _rule(rule: Any, where: str, omitted: frozenset[str], trimmed: bool) -> Rule:
    if not isinstance(rule, dict):
        raise ValueError(f"{where} must be a mapping")
    if rule.get("level") not in LEVELS:
        raise ValueError(f"{where}.level is {rule.get('level')!r}; known are {', '.join(LEVELS)}")
    paths = _texts(rule, "nonResourceURLs", where)
    if paths and (rule.get("resources") or rule.get("namespaces")):
        raise ValueError(f"{where}.nonResourceURLs: rules cannot apply to both regular resources and non-resource URLs")
    for path in paths:
        if path != "*" and (not path.startswith("/") or "*" in path[:-1]):
            raise ValueError(f"{where}.nonResourceURLs: {path!r} must begin with / and have * at its end only")
    own = rule.get("omitManagedFields")
    return Rule(
        Scope(
            LEVELS.index(rule["level"]),
            omitted | _stages(rule.get("omitStages"), f"{where}.omitStages"),
            trimmed if own is None else bool(own),
        ),
        frozenset(_texts(rule, "users", where)),
        frozenset(_texts(rule, "userGroups", where)),
        frozenset(_texts(rule, "verbs", where)),
        frozenset(_texts(rule, "namespaces", where)),
        tuple(_resources(each, where) for each in rule.get("resources") or ()),
        paths,
    )


def _resources(entry: Any, where: str) -> Resources:
    if not isinstance(entry, dict):
        raise ValueError(f"{where}.resources must be mappings with group, resources and resourceNames")
    names, resources = _texts(entry, "resourceNames", where), _texts(entry, "resources", where)
    if names and not resources:
        raise ValueError(f"{where}.resources: using resourceNames requires at least one resource")
    return Resources(str(entry.get("group") or ""), resources, names)


def _texts(entry: Mapping[str, Any], name: str, where: str) -> tuple[str, ...]:
    found = entry.get(name) or []
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise ValueError(f"{where}.{name} must be a list of texts")
    return tuple(found)


def _stages(value: Any, where: str) -> frozenset[str]:
    found = value or []
    if not isinstance(found, list) or any(stage not in STAGES for stage in found):
        raise ValueError(f"{where} must be a list of {', '.join(STAGES)}")
    return frozenset(found)


def _path_matches(path: str, pattern: str) -> bool:
    if pattern in ("*", path):
        return True
    return pattern.endswith("*") and path.startswith(pattern[:-1])
