"""RBAC's policy rules: whether one allows a request, and whether several cover what somebody wants to grant.

Sources: ``pkg/apis/rbac/v1/evaluation_helpers.go``, ``component-helpers/auth/rbac/validation/policy_comparator.go`` and
``pkg/registry/rbac/validation``. PURE.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from picluster.api.types import Object
from picluster.apiserver.authz.attributes import Attributes

ALL = "*"


class Rule(msgspec.Struct, frozen=True, gc=False):
    """A ``PolicyRule``; the names of the fields are those of the API."""

    verbs: tuple[str, ...] = ()
    apiGroups: tuple[str, ...] = ()  # noqa: N815
    resources: tuple[str, ...] = ()
    resourceNames: tuple[str, ...] = ()  # noqa: N815
    nonResourceURLs: tuple[str, ...] = ()  # noqa: N815


FULL_AUTHORITY = (Rule(verbs=(ALL,), apiGroups=(ALL,), resources=(ALL,)), Rule(verbs=(ALL,), nonResourceURLs=(ALL,)))


def read(rules: Sequence[Object] | None) -> tuple[Rule, ...]:
    """The rules of a role as an object holds them."""
    return msgspec.convert(list(rules or ()), tuple[Rule, ...], strict=False)


def allows(rule: Rule, attributes: Attributes) -> bool:
    """``RuleAllows``."""
    if not attributes.is_resource:
        return _has(rule.verbs, attributes.verb) and _covers_url(rule.nonResourceURLs, attributes.path)
    return allows_unnamed(rule, attributes) and (not rule.resourceNames or attributes.name in rule.resourceNames)


def allows_unnamed(rule: Rule, attributes: Attributes) -> bool:
    """Whether a rule is about a resource request, whatever names it is limited to."""
    return (
        _has(rule.verbs, attributes.verb)
        and _has(rule.apiGroups, attributes.group)
        and _covers_resource(rule.resources, attributes.qualified)
    )


def missing(owned: Iterable[Rule], wanted: Iterable[Rule]) -> list[Rule]:
    """What of ``wanted`` no rule of ``owned`` gives, in atoms (``Covers``)."""
    held = tuple(owned)
    return [atom for rule in wanted for atom in _atoms(rule) if not any(_covers(each, atom) for each in held)]


def compact(rules: Iterable[Rule]) -> list[Rule]:
    """Rules about the same resource become one with the verbs of all (``CompactRules``)."""
    simple: dict[tuple[tuple[str, ...], ...], dict[str, None]] = {}
    others: list[Rule] = []
    for rule in rules:
        if len(rule.resourceNames) > 1 or rule.nonResourceURLs or len(rule.apiGroups) != 1 or len(rule.resources) != 1:
            others.append(rule)
            continue
        verbs = simple.setdefault((rule.apiGroups, rule.resources, rule.resourceNames), {})
        verbs.update(dict.fromkeys(rule.verbs))
    merged = [Rule(tuple(verbs), groups, resources, names) for (groups, resources, names), verbs in simple.items()]
    return [*merged, *others]


def text(rule: Rule) -> str:
    """``{APIGroups:[""], Resources:["pods"], Verbs:["get"]}`` (``CompactString``)."""
    parts = (
        ("APIGroups", rule.apiGroups),
        ("Resources", rule.resources),
        ("NonResourceURLs", rule.nonResourceURLs),
        ("ResourceNames", rule.resourceNames),
        ("Verbs", rule.verbs),
    )
    return "{" + ", ".join(f"{name}:{quoted(values)}" for name, values in parts if values) + "}"


def quoted(values: Iterable[str]) -> str:
    """``["a" "b"]``, as Go's ``%q`` prints a list."""
    return "[" + " ".join(json.dumps(value, ensure_ascii=False) for value in values) + "]"


def _has(values: tuple[str, ...], wanted: str) -> bool:
    return wanted in values or ALL in values


def _covers_resource(resources: tuple[str, ...], wanted: str) -> bool:
    if ALL in resources or wanted in resources:
        return True
    _, slash, subresource = wanted.partition("/")
    return bool(slash) and f"*/{subresource}" in resources


def _covers_url(urls: tuple[str, ...], path: str) -> bool:
    return any(url in (ALL, path) or (url.endswith(ALL) and path.startswith(url.rstrip(ALL))) for url in urls)


def _atoms(rule: Rule) -> Iterator[Rule]:
    """``BreakdownRule``: one verb of one resource of one group (and one name), or of one URL, each."""
    for group in rule.apiGroups:
        for resource in rule.resources:
            for verb in rule.verbs:
                for names in _each(rule.resourceNames):
                    yield Rule((verb,), (group,), (resource,), names)
    for url in rule.nonResourceURLs:
        for verb in rule.verbs:
            yield Rule((verb,), nonResourceURLs=(url,))


def _each(names: tuple[str, ...]) -> list[tuple[str, ...]]:
    return [(name,) for name in names] or [()]


def _covers(owner: Rule, atom: Rule) -> bool:
    names_match = not owner.resourceNames or (
        bool(atom.resourceNames) and set(atom.resourceNames) <= set(owner.resourceNames)
    )
    return (
        names_match
        and all(_has(owner.verbs, verb) for verb in atom.verbs)
        and all(_has(owner.apiGroups, group) for group in atom.apiGroups)
        and all(_covers_resource(owner.resources, resource) for resource in atom.resources)
        and all(_covers_url(owner.nonResourceURLs, url) for url in atom.nonResourceURLs)
    )
