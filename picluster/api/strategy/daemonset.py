"""Daemon sets: a generation that follows the spec, and one of the template that only shows as an annotation.

The annotation is what is left of a field of the beta versions (``pkg/apis/apps/v1/conversion.go``).
"""

from __future__ import annotations

from picluster.api.strategy.shared import never_absent, spec_changed
from picluster.api.types import Object

TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"

_no_status, update_status = never_absent(
    {"currentNumberScheduled": 0, "desiredNumberScheduled": 0, "numberMisscheduled": 0, "numberReady": 0}
)
changed = spec_changed


def create(daemonset: Object, now: str) -> None:
    _no_status(daemonset, now)
    _annotate(daemonset, 1)


def update(new: Object, old: Object) -> None:
    before = (old["metadata"].get("annotations") or {}).get(TEMPLATE_GENERATION, "")
    generation = int(before) if before.isdecimal() else 1
    if new["spec"].get("template") != old["spec"].get("template"):
        generation += 1
    _annotate(new, generation)


def _annotate(daemonset: Object, generation: int) -> None:
    metadata = daemonset["metadata"]
    metadata["annotations"] = {**(metadata.get("annotations") or {}), TEMPLATE_GENERATION: str(generation)}
