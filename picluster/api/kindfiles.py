"""A kind has one file name in every layer; this finds the file, if the layer needs one for the kind."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from functools import cache
from typing import Any

from picluster.api.resources import Resource


@cache
def function(package: str, resource: Resource, name: str) -> Callable[..., Any] | None:
    """``<package>.<file of the kind>.<name>``, or ``None`` where there is no such file or name.

    Files are imported when their kind is first used: a server that never sees a CronJob never loads its rules.
    Custom resources (no ``schema``) have none.
    """
    if not resource.schema:
        return None
    path = f"{package}.{resource.file}"
    if importlib.util.find_spec(path) is None:
        return None
    found: Callable[..., Any] | None = getattr(importlib.import_module(path), name, None)
    return found
