"""PodTemplates."""

from __future__ import annotations

from picluster.api.types import Object
from picluster.api.warnings.common import generation_changed
from picluster.api.warnings.podspec import of_template


def create(obj: Object) -> list[str]:
    return of_template(obj.get("template") or {}, "template")


def update(new: Object, old: Object) -> list[str]:
    return create(new) if generation_changed(new, old) else []
