"""Who makes a policy read parameters must be allowed to read them: otherwise its answers would tell what they hold.

A policy with a ``paramKind`` needs ``get`` on all objects of that kind, a binding with a ``paramRef`` ``get`` or
``list`` on what it refers to. Source: ``pkg/registry/admissionregistration/*/authz.go``.
"""

from __future__ import annotations

from collections.abc import Iterable

from picluster.api import errors
from picluster.api.errors import forbidden_field
from picluster.api.resources import (
    MUTATING_ADMISSION_POLICIES,
    MUTATING_ADMISSION_POLICY_BINDINGS,
    RESOURCES,
    VALIDATING_ADMISSION_POLICIES,
    VALIDATING_ADMISSION_POLICY_BINDINGS,
    Resource,
)
from picluster.api.types import Object
from picluster.apiserver.authn import User
from picluster.apiserver.authz.attributes import Attributes
from picluster.apiserver.authz.chain import MASTERS, Chain
from picluster.apiserver.registry.registry import Registry, Write
from picluster.apiserver.registry.store import decoded

ANY = "*"
_POLICIES = {
    VALIDATING_ADMISSION_POLICY_BINDINGS.stored_as: VALIDATING_ADMISSION_POLICIES,
    MUTATING_ADMISSION_POLICY_BINDINGS.stored_as: MUTATING_ADMISSION_POLICIES,
}


class ParamAccess:
    """``serving`` are the rows that are served, among which parameters may be."""

    def __init__(self, chain: Chain, registry: Registry, serving: Iterable[Resource]) -> None:
        self._chain = chain
        self._registry = registry
        self._serving = serving

    def install(self) -> None:
        policies = {policies.stored_as for policies in _POLICIES.values()}
        for row in RESOURCES:
            if row.stored_as in policies:
                self._registry.guards[row] = self.policy
            elif row.stored_as in _POLICIES:
                self._registry.guards[row] = self.binding

    def policy(self, write: Write, new: Object, old: Object | None) -> None:
        """Raise ``ApiError`` 422 for a kind that the writer may not read."""
        kind = (new.get("spec") or {}).get("paramKind")
        if not kind or kind == ((old or {}).get("spec") or {}).get("paramKind"):
            return
        group, version, resource = self._resolved(kind)
        asked = Attributes(write.user, "get", ANY, group, version, resource, name=ANY)
        shown = f"kind={kind.get('kind', '')}, apiVersion={kind.get('apiVersion', '')}"
        why = f'must have "get" permission on all objects of the referenced paramKind ({shown})'
        self._check(write, asked, "spec.paramKind", why)

    def binding(self, write: Write, new: Object, old: Object | None) -> None:
        """Raise ``ApiError`` 422 for parameters that the writer may not read."""
        spec, before = new.get("spec") or {}, (old or {}).get("spec") or {}
        reference = spec.get("paramRef")
        if not reference or (reference, spec.get("policyName")) == (before.get("paramRef"), before.get("policyName")):
            return
        entry = self._registry.store.cache.get(
            _POLICIES[write.resource.stored_as], "", str(spec.get("policyName") or "")
        )
        kind = (decoded(entry).get("spec") or {}).get("paramKind") if entry is not None else None
        group, version, resource = self._resolved(kind) if kind else (ANY, ANY, ANY)
        name, namespace = reference.get("name") or "", reference.get("namespace") or ""
        verb = "get" if name else "list"
        asked = Attributes(write.user, verb, namespace, group, version, resource, name=name)
        why = f'does not have "{verb}" permission on the object referenced by paramRef'
        self._check(write, asked, "spec.paramRef", why)

    def _resolved(self, kind: Object) -> tuple[str, str, str]:
        """Group, version and resource; everything, of a kind that is not known."""
        api_version = kind.get("apiVersion") or ""
        group, _, version = api_version.rpartition("/")
        rows = (row for row in self._serving if row.stored and row.api_version == api_version)
        return group, version, next((row.plural for row in rows if row.kind == kind.get("kind")), ANY)

    def _check(self, write: Write, asked: Attributes, path: str, why: str) -> None:
        if MASTERS in write.user.groups or self._chain.decide(asked).allowed:
            return
        failure = forbidden_field(path, f"user {_shown(write.user)} {why}")
        resource = write.resource
        raise errors.invalid(resource.group, resource.kind, write.name, [failure])


def _shown(user: User) -> str:
    """As Go prints a ``user.DefaultInfo``."""
    extra = " ".join(f"{key}:[{' '.join(values)}]" for key, values in user.extra)
    return f"&{{{user.name} {user.uid} [{' '.join(sorted(user.groups))}] map[{extra}]}}"
