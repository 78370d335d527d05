"""Jobs: the name, numbers that are too many, the template."""

from __future__ import annotations

from picluster.api.types import Object
from picluster.api.warnings.common import generation_changed, pods_name
from picluster.api.warnings.jobspec import of_spec


def create(job: Object) -> list[str]:
    return pods_name(job) + of_spec(job["spec"], "spec")


def update(new: Object, old: Object) -> list[str]:
    return of_spec(new["spec"], "spec") if generation_changed(new, old) else []
