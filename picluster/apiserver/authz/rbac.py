"""RBAC: what Roles and bindings allow, answered from compiled rules (``plugin/pkg/auth/authorizer/rbac``).

The watch cache tells of every change of the four kinds (``Collection.listeners``). A changed binding is decoded once
and moved within the index of subjects; a changed role is decoded when somebody bound to it asks. A request costs one
look-up: per user, verb, resource and namespace there is a ``_Grant`` that says whether, or for which names. All grants
are forgotten at any change, and when there are too many.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from picluster.api.resources import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLE_BINDINGS, ROLES
from picluster.apiserver.authn import User
from picluster.apiserver.authz.attributes import Attributes
from picluster.apiserver.authz.chain import NO_OPINION, Decision, Held, ResourceRule, aggregate
from picluster.apiserver.authz.rules import Rule, allows, allows_unnamed
from picluster.apiserver.cache.history import Change
from picluster.apiserver.cache.index import Entry
from picluster.apiserver.cache.watchcache import WatchCache

GRANTS_MAX = 8192


class _Ref(msgspec.Struct, frozen=True, gc=False):
    kind: str = ""
    name: str = ""


class _Subject(msgspec.Struct, frozen=True, gc=False):
    kind: str = ""
    name: str = ""
    namespace: str = ""


class _Binding(msgspec.Struct, frozen=True, gc=False):
    roleRef: _Ref  # noqa: N815
    subjects: tuple[_Subject, ...] | None = None


class _Role(msgspec.Struct, frozen=True, gc=False):
    rules: tuple[Rule, ...] | None = None


_decode_binding = msgspec.json.Decoder(_Binding).decode
_decode_role = msgspec.json.Decoder(_Role).decode


class RoleMissing(Exception):
    """A binding refers to a role that is not there; the message is the API's."""


class _Bound(NamedTuple):
    """One subject of one binding; ``source`` says so in the words of a reason."""

    role: _Ref
    namespace: str
    source: str


class _Grant(NamedTuple):
    """The answer for any name, or for some (``resourceNames``), and the one for all others."""

    always: Decision | None
    named: dict[str, Decision]
    otherwise: Decision


class Rbac:
    """An ``Authorizer``; ``load`` once the cache holds what the store holds."""

    def __init__(self, cache: WatchCache) -> None:
        self._cluster_roles = cache.collection(CLUSTER_ROLES)
        self._roles = cache.collection(ROLES)
        self._bindings = (cache.collection(CLUSTER_ROLE_BINDINGS), cache.collection(ROLE_BINDINGS))
        self._rules: dict[tuple[str, str], tuple[Rule, ...]] = {}
        # By namespace (empty: the cluster), then subject, then the binding's key.
        self._bound: dict[str, dict[tuple[str, str], dict[str, _Bound]]] = {}
        self._grants: dict[tuple[object, ...], _Grant] = {}

    def load(self) -> None:
        for collection in (self._cluster_roles, self._roles):
            collection.listeners.append(self._on_role)
        for collection in self._bindings:
            collection.listeners.append(self._on_binding)
            for entry in collection.entries.values():
                self._index(entry)

    def decide(self, attributes: Attributes) -> Decision:
        user, verb, namespace, group, _, resource, subresource, name, path, is_resource, _, _ = attributes
        key: tuple[object, ...]
        if is_resource:
            key = (user.name, user.groups, verb, group, resource, subresource, namespace)
        else:
            key = (user.name, user.groups, verb, path)
        grant = self._grants.get(key)
        if grant is None:
            if len(self._grants) >= GRANTS_MAX:
                self._grants.clear()
            grant = self._grants[key] = self._grant(attributes)
        if grant.always is not None:
            return grant.always
        return grant.named.get(name, grant.otherwise) if name else grant.otherwise

    def held(self, user: User, namespace: str) -> Held:
        found: list[ResourceRule] = []
        problems: list[str] = []
        for bound in self._bound_to(user, namespace):
            try:
                rules = self.role_rules(bound.role.kind, bound.namespace, bound.role.name)
            except RoleMissing as missing:
                problems.append(str(missing))
                continue
            found.extend(
                ResourceRule(rule.verbs, rule.apiGroups, rule.resources, rule.resourceNames, rule.nonResourceURLs)
                for rule in rules
            )
        return Held(found, aggregate(problems))

    def rules_of(self, user: User, namespace: str) -> tuple[list[Rule], list[str]]:
        """Every rule that holds for ``user`` there, and what could not be found out."""
        held = self.held(user, namespace)
        rules = [Rule(each.verbs, each.groups, each.resources, each.names, each.urls) for each in held.rules]
        return rules, [held.error] if held.error else []

    def role_rules(self, kind: str, namespace: str, name: str) -> tuple[Rule, ...]:
        """The rules of a role that a binding in ``namespace`` refers to; raises ``RoleMissing``."""
        scope = namespace if kind == "Role" else ""
        rules = self._rules.get((scope, name))
        if rules is None:
            entry = (self._roles if kind == "Role" else self._cluster_roles).entries.get(f"{scope}/{name}")
            if entry is None:
                raise RoleMissing(f'{kind.lower()}.rbac.authorization.k8s.io "{name}" not found')
            rules = self._rules[scope, name] = _decode_role(entry.wire).rules or ()
        return rules

    def _grant(self, attributes: Attributes) -> _Grant:
        named: dict[str, Decision] = {}
        problems: list[str] = []
        for bound in self._bound_to(attributes.user, attributes.namespace):
            try:
                rules = self.role_rules(bound.role.kind, bound.namespace, bound.role.name)
            except RoleMissing as missing:
                problems.append(str(missing))
                continue
            for rule in rules:
                if rule.resourceNames and attributes.is_resource:
                    if allows_unnamed(rule, attributes):
                        named.update(dict.fromkeys(rule.resourceNames, _allowed(bound)))
                elif allows(rule, attributes):
                    return _Grant(_allowed(bound), {}, NO_OPINION)
        refused = Decision(False, f"RBAC: {aggregate(problems)}") if problems else NO_OPINION
        return _Grant(None, named, refused)

    def _bound_to(self, user: User, namespace: str) -> Iterator[_Bound]:
        subjects = [("User", user.name), *(("Group", group) for group in user.groups)]
        for scope in ("", namespace) if namespace else ("",):
            by_subject = self._bound.get(scope)
            if by_subject:
                for subject in subjects:
                    yield from by_subject.get(subject, {}).values()

    def _on_role(self, change: Change) -> None:
        scope, _, name = change.key.partition("/")
        self._rules.pop((scope, name), None)
        self._grants.clear()

    def _on_binding(self, change: Change) -> None:
        if change.old is not None:
            self._unindex(change.old)
        if change.new is not None:
            self._index(change.new)
        self._grants.clear()

    def _index(self, entry: Entry) -> None:
        binding = _decode_binding(entry.wire)
        by_subject = self._bound.setdefault(entry.namespace, {})
        for subject in binding.subjects or ():
            key = _subject_key(subject, entry.namespace)
            bound = _Bound(binding.roleRef, entry.namespace, _source(entry, binding.roleRef, subject))
            by_subject.setdefault(key, {}).setdefault(entry.name, bound)

    def _unindex(self, entry: Entry) -> None:
        by_subject = self._bound.get(entry.namespace, {})
        for subject in _decode_binding(entry.wire).subjects or ():
            key = _subject_key(subject, entry.namespace)
            bindings = by_subject.get(key, {})
            bindings.pop(entry.name, None)
            if not bindings:
                by_subject.pop(key, None)
        if not by_subject:
            self._bound.pop(entry.namespace, None)


def _subject_key(subject: _Subject, namespace: str) -> tuple[str, str]:
    """Whom a subject means; a service account is the user of its name, in the binding's namespace if it says none."""
    if subject.kind == "ServiceAccount":
        return "User", f"system:serviceaccount:{subject.namespace or namespace}:{subject.name}"
    return subject.kind, subject.name


def _source(entry: Entry, role: _Ref, subject: _Subject) -> str:
    if entry.namespace:
        binding = f'RoleBinding "{entry.name}/{entry.namespace}"'
    else:
        binding = f'ClusterRoleBinding "{entry.name}"'
    name = f"{subject.name}/{subject.namespace}" if subject.kind == "ServiceAccount" else subject.name
    return f'{binding} of {role.kind} "{role.name}" to {subject.kind} "{name}"'


def _allowed(bound: _Bound) -> Decision:
    return Decision(True, f"RBAC: allowed by {bound.source}")
