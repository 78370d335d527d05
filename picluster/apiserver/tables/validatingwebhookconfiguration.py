"""Validating webhook configurations: as mutating ones."""

from __future__ import annotations

from picluster.apiserver.tables.mutatingwebhookconfiguration import PRINTER

__all__ = ["PRINTER"]
