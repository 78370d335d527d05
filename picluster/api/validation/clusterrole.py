"""ClusterRoles."""

from __future__ import annotations

from picluster.api.types import Object
from picluster.api.validation import rbac


def validate(clusterrole: Object) -> rbac.Failures:
    return rbac.role(clusterrole, namespaced=False)


def validate_update(new: Object, old: Object) -> rbac.Failures:
    return rbac.role_update(new, old, namespaced=False)
