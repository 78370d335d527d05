"""RoleBindings."""

from __future__ import annotations

from picluster.api.types import Object
from picluster.api.validation import rbac

ROLE_KINDS = ("Role", "ClusterRole")


def validate(rolebinding: Object) -> rbac.Failures:
    return rbac.binding(rolebinding, ROLE_KINDS, namespaced=True)


def validate_update(new: Object, old: Object) -> rbac.Failures:
    return rbac.binding_update(new, old, ROLE_KINDS, namespaced=True)
