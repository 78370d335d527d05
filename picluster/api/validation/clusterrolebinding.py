"""ClusterRoleBindings."""

from __future__ import annotations

from picluster.api.types import Object
from picluster.api.validation import rbac

ROLE_KINDS = ("ClusterRole",)


def validate(clusterrolebinding: Object) -> rbac.Failures:
    return rbac.binding(clusterrolebinding, ROLE_KINDS, namespaced=False)


def validate_update(new: Object, old: Object) -> rbac.Failures:
    return rbac.binding_update(new, old, ROLE_KINDS, namespaced=False)
