"""Defaults of FlowSchemas."""

from __future__ import annotations

from picluster.api.types import Object

MATCHING_PRECEDENCE = 1000


def apply(flowschema: Object) -> None:
    spec = flowschema.setdefault("spec", {})
    if not spec.get("matchingPrecedence"):
        spec["matchingPrecedence"] = MATCHING_PRECEDENCE
