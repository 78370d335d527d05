"""Defaults of ResourceClaimTemplates: those of the claims they make."""

from __future__ import annotations

from picluster.api.defaults import resourceclaim
from picluster.api.types import Object


def apply(template: Object) -> None:
    resourceclaim.apply_spec(template.setdefault("spec", {}).setdefault("spec", {}))
