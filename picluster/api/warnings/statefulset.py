"""StatefulSets: the template, the claims, and how many revisions stay."""

from __future__ import annotations

from collections.abc import Iterator

from picluster.api.types import Object
from picluster.api.warnings import claims, templates

UNLIMITED = "spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended"


def create(obj: Object) -> list[str]:
    return [*templates.create_template(obj), *_rest(obj["spec"], "")]


def update(new: Object, old: Object) -> list[str]:
    return [*templates.update(new, old), *_rest(new["spec"], ".Spec")]


def _rest(spec: Object, below: str) -> Iterator[str]:
    """``below`` is what Kubernetes appends to a claim's path, which differs between the two."""
    for index, claim in enumerate(spec.get("volumeClaimTemplates") or ()):
        yield from claims.of_spec(claim.get("spec") or {}, f"spec.volumeClaimTemplates[{index}]{below}")
    if (spec.get("revisionHistoryLimit") or 0) < 0:
        yield UNLIMITED
