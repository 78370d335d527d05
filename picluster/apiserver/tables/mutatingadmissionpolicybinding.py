"""Bindings of mutating admission policies: as those of validating ones."""

from __future__ import annotations

from picluster.apiserver.tables.validatingadmissionpolicybinding import PRINTER

__all__ = ["PRINTER"]
