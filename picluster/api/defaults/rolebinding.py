"""Defaults of RoleBindings and ClusterRoleBindings."""

from __future__ import annotations

from picluster.api.types import Object

GROUP = "rbac.authorization.k8s.io"


def apply(binding: Object) -> None:
    reference = binding.get("roleRef")
    if reference is not None and not reference.get("apiGroup"):
        reference["apiGroup"] = GROUP
    for subject in binding.get("subjects") or ():
        if subject.get("kind") in ("User", "Group") and not subject.get("apiGroup"):
            subject["apiGroup"] = GROUP
