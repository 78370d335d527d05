"""Defaults of RuntimeClasses: the overhead in canonical form."""

from __future__ import annotations

from picluster.api.defaults.quantities import canonicalize
from picluster.api.types import Object


def apply(runtimeclass: Object) -> None:
    runtimeclass.setdefault("handler", "")
    if fixed := (runtimeclass.get("overhead") or {}).get("podFixed"):
        canonicalize(fixed)
