"""Pod templates: a generation that follows the template."""

from __future__ import annotations

from picluster.api.types import Object


def changed(new: Object, old: Object) -> bool:
    return bool(new.get("template") != old.get("template"))
