"""Defaults of ClusterRoleBindings: those of RoleBindings."""

from __future__ import annotations

from picluster.api.defaults.rolebinding import apply

__all__ = ["apply"]
