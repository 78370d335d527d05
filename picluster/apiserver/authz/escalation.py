"""Nobody grants what he does not hold: checks on writes of roles and bindings (``pkg/registry/rbac/*/policybased``).

Allowed are members of ``system:masters``, who may ``escalate`` the role or ``bind`` the role that a binding refers to,
and who holds every permission that the write would give.
"""

from __future__ import annotations

from collections.abc import Iterable

from picluster.api import errors
from picluster.api.resources import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLE_BINDINGS, ROLES
from picluster.api.types import Object
from picluster.apiserver.authz import rules
from picluster.apiserver.authz.attributes import Attributes
from picluster.apiserver.authz.chain import MASTERS, Chain
from picluster.apiserver.authz.rbac import Rbac, RoleMissing
from picluster.apiserver.authz.rules import FULL_AUTHORITY, Rule
from picluster.apiserver.registry.registry import Registry, Write

GROUP = "rbac.authorization.k8s.io"
PLURALS = {"ClusterRole": "clusterroles", "Role": "roles"}
COLLECTED = ("ownerReferences", "finalizers")


class Escalation:
    def __init__(self, chain: Chain, rbac: Rbac) -> None:
        self._chain = chain
        self._rbac = rbac

    def install(self, registry: Registry) -> None:
        for resource in (ROLES, CLUSTER_ROLES):
            registry.guards[resource] = self.role
        for resource in (ROLE_BINDINGS, CLUSTER_ROLE_BINDINGS):
            registry.guards[resource] = self.binding

    def role(self, write: Write, new: Object, old: Object | None) -> None:
        """Raise ``ApiError`` 403 for a role that would give more than its writer has."""
        if MASTERS in write.user.groups or self._may_escalate(write, old) or _only_collected(new, old):
            return
        self._confirm(write, new, rules.read(new.get("rules")))
        if _aggregates(new) or (old is not None and _aggregates(old)):
            held, _ = self._rbac.rules_of(write.user, write.namespace)
            if rules.missing(held, FULL_AUTHORITY):
                raise _refused(write, new, "must have cluster-admin privileges to use the aggregationRule")

    def binding(self, write: Write, new: Object, old: Object | None) -> None:
        """Raise ``ApiError`` 403 for a binding to a role that its writer neither holds nor may bind."""
        role = new.get("roleRef") or {}
        kind, name = role.get("kind", ""), role.get("name", "")
        if MASTERS in write.user.groups or _only_collected(new, old) or kind not in PLURALS:
            return  # a role of no such kind is refused by the binding's validation
        if self._may_bind(write, role.get("apiGroup") or GROUP, kind, name):
            return
        try:
            granted = self._rbac.role_rules(kind, write.namespace, name)
        except RoleMissing:
            raise errors.not_found(GROUP, kind.lower(), name) from None
        self._confirm(write, new, granted)

    def _may_escalate(self, write: Write, old: Object | None) -> bool:
        resource = write.resource
        name = write.name if old is not None else ""
        asked = Attributes(write.user, "escalate", write.namespace, resource.group, "*", resource.plural, name=name)
        return self._chain.decide(asked).allowed

    def _may_bind(self, write: Write, group: str, kind: str, name: str) -> bool:
        asked = Attributes(write.user, "bind", write.namespace, group, "*", PLURALS[kind], name=name)
        return self._chain.decide(asked).allowed

    def _confirm(self, write: Write, obj: Object, granted: Iterable[Rule]) -> None:
        """``ConfirmNoEscalation``."""
        user = write.user
        held, problems = self._rbac.rules_of(user, write.namespace)
        missing = rules.missing(held, granted)
        if not missing:
            return
        described = "\n".join(sorted({rules.text(rule) for rule in rules.compact(missing)}))
        groups = rules.quoted(sorted(user.groups))
        who = f'user "{user.name}" (groups={groups})'
        why = f"{who} is attempting to grant RBAC permissions not currently held:\n{described}"
        if problems:
            why += f"; resolution errors: [{' '.join(problems)}]"
        raise _refused(write, obj, why)


def _aggregates(role: Object) -> bool:
    return bool((role.get("aggregationRule") or {}).get("clusterRoleSelectors"))


def _only_collected(new: Object, old: Object | None) -> bool:
    """Whether a write changes nothing but what the garbage collector needs (``IsOnlyMutatingGCFields``)."""
    return old is not None and _without_collected(new) == _without_collected(old)


def _without_collected(obj: Object) -> Object:
    left = (*COLLECTED, "resourceVersion", "managedFields")
    return {**obj, "metadata": {name: value for name, value in obj["metadata"].items() if name not in left}}


def _refused(write: Write, obj: Object, why: str) -> errors.ApiError:
    resource = write.resource
    return errors.forbidden(resource.group, resource.plural, obj["metadata"].get("name", ""), why)
