"""Roles."""

from __future__ import annotations

from picluster.api.types import Object
from picluster.api.validation import rbac


def validate(role: Object) -> rbac.Failures:
    return rbac.role(role, namespaced=True)


def validate_update(new: Object, old: Object) -> rbac.Failures:
    return rbac.role_update(new, old, namespaced=True)
