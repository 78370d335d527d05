"""Persistent volume claims: pending at first; both ways to name a source of data say the same."""

from __future__ import annotations

from picluster.api.types import Object


def create(claim: Object, now: str) -> None:
    claim["status"] = {"phase": "Pending"}
    spec = claim.setdefault("spec", {})
    source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
    if source is not None and reference is None:
        spec["dataSourceRef"] = dict(source)
    elif reference is not None and source is None and not reference.get("namespace"):
        spec["dataSource"] = {field: value for field, value in reference.items() if field != "namespace"}
