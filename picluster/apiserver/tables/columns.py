"""Columns, and the small things that many kinds' cells are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from picluster.api import meta
from picluster.api.types import Object

NAME_HELP = (
    "Name must be unique within a namespace. Is required when creating resources, although some resources may allow a"
    " client to request the generation of an appropriate name automatically."
)
AGE_HELP = "CreationTimestamp is the server time when this object was created, in RFC3339 form and in UTC."


@dataclass(frozen=True, slots=True)
class Column:
    """``priority`` 0 is always shown, 1 with ``-o wide``."""

    name: str
    kind: str = "string"
    format: str = ""
    priority: int = 0
    description: str = ""

    def definition(self) -> Object:
        return {
            "name": self.name,
            "type": self.kind,
            "format": self.format,
            "description": self.description,
            "priority": self.priority,
        }


@dataclass(frozen=True, slots=True)
class Printer:
    """``row(obj, now_s)`` gives one cell per column; ``conditions`` the row's, such as Completed for a finished pod."""

    columns: tuple[Column, ...]
    row: Callable[[Object, float], list[Any]]
    conditions: Callable[[Object], list[Object]] | None = None


NAME = Column("Name", format="name", description=NAME_HELP)
AGE = Column("Age", description=AGE_HELP)


def wide(name: str, kind: str = "string") -> Column:
    """A column that only ``-o wide`` shows."""
    return Column(name, kind, priority=1)


def name_of(obj: Object) -> str:
    return str(obj["metadata"]["name"])


def age(obj: Object, now_s: float) -> str:
    return since(obj["metadata"].get("creationTimestamp"), now_s)


def since(timestamp: str | None, now_s: float) -> str:
    """The time since an RFC 3339 timestamp, or ``<unknown>``."""
    return human_duration(now_s - meta.parse_time(timestamp)) if timestamp else "<unknown>"


def human_duration(duration_s: float) -> str:
    """As apimachinery's ``duration.HumanDuration``: two units while the first is small, then one."""
    seconds = int(duration_s)
    if seconds < -1:
        return "<invalid>"
    if seconds < 120:
        return f"{max(seconds, 0)}s"
    minutes, hours = seconds // 60, seconds // 3600
    if minutes < 10:
        return _two(minutes, "m", seconds % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if hours < 192:
        return _two(hours // 24, "d", hours % 24, "h")
    if hours < 24 * 365 * 2:
        return f"{hours // 24}d"
    if hours < 24 * 365 * 8:
        return _two(hours // 24 // 365, "y", hours // 24 % 365, "d")
    return f"{hours // 24 // 365}y"


def _two(first: int, unit: str, second: int, small_unit: str) -> str:
    return f"{first}{unit}{second}{small_unit}" if second else f"{first}{unit}"


def labels(selector: dict[str, str] | None) -> str:
    """``a=b,c=d`` sorted, or ``<none>``."""
    return ",".join(f"{key}={value}" for key, value in sorted((selector or {}).items())) or "<none>"


def label_selector(selector: Object | None) -> str:
    """A LabelSelector as one string, as ``metav1.FormatLabelSelector`` writes it."""
    selector = selector or {}
    parts = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    for expression in selector.get("matchExpressions") or []:
        key, operator = expression["key"], expression["operator"]
        values = ",".join(sorted(expression.get("values") or []))
        texts = {
            "In": f"{key} in ({values})",
            "NotIn": f"{key} notin ({values})",
            "Exists": key,
            "DoesNotExist": f"!{key}",
        }
        parts.append(texts.get(operator, key))
    return ",".join(parts) or "<none>"


def containers(pod_spec: Object) -> tuple[str, str]:
    """``(names, images)`` of a pod template's containers, comma-separated."""
    found = pod_spec.get("containers") or []
    return ",".join(c["name"] for c in found), ",".join(c.get("image", "") for c in found)


def _generic_row(obj: Object, now_s: float) -> list[Any]:
    return [name_of(obj), age(obj, now_s)]


def _default_row(obj: Object, now_s: float) -> list[Any]:
    return [name_of(obj), obj["metadata"].get("creationTimestamp")]


GENERIC = Printer((NAME, AGE), _generic_row)
CREATED_AT = Column(
    "Created At",
    "date",
    description="CreationTimestamp is a timestamp representing the server time when this object was created.",
)
DEFAULT = Printer((NAME, CREATED_AT), _default_row)
"""How kinds are shown that Kubernetes has no printer for (``rest.NewDefaultTableConvertor``): roles, limit ranges, …"""
