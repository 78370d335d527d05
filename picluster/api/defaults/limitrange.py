"""Defaults of LimitRanges: for containers, what is asked for follows from what is allowed."""

from __future__ import annotations

from picluster.api.defaults.quantities import canonicalize
from picluster.api.types import Object

_AMOUNTS = ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio")


def apply(limitrange: Object) -> None:
    for item in limitrange.setdefault("spec", {}).get("limits") or ():
        for field in _AMOUNTS:
            if item.get(field):
                canonicalize(item[field])
        if item.get("type") == "Container":
            _container(item)


def _container(item: Object) -> None:
    limits = {**(item.get("max") or {}), **(item.get("default") or {})}
    requests = {**(item.get("min") or {}), **limits, **(item.get("defaultRequest") or {})}
    if limits:
        item["default"] = limits
    if requests:
        item["defaultRequest"] = requests
