"""The one shape everything passes around."""

from __future__ import annotations

from typing import Any, TypeAlias

Object: TypeAlias = dict[str, Any]
"""A Kubernetes object, or a part of one, exactly as it is on the wire (camelCase keys, JSON values)."""
