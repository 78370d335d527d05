"""Cluster role bindings: as role bindings."""

from __future__ import annotations

from picluster.apiserver.tables.rolebinding import PRINTER

__all__ = ["PRINTER"]
