"""Kinds that make pods by a template: their names, and the template when it may have changed."""

from __future__ import annotations

from picluster.api.types import Object
from picluster.api.warnings.common import generation_changed, pods_name
from picluster.api.warnings.podspec import of_template

PATH = "spec.template"


def create(obj: Object) -> list[str]:
    return pods_name(obj) + create_template(obj)


def create_template(obj: Object) -> list[str]:
    """Where names are no hosts' names, or are checked already."""
    return of_template(obj["spec"].get("template") or {}, PATH)


def update(new: Object, old: Object) -> list[str]:
    return create_template(new) if generation_changed(new, old) else []
