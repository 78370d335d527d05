"""A LimitRange without a name gets one (``limitrangeStrategy.PrepareForCreate``)."""

from __future__ import annotations

from picluster.api import meta
from picluster.api.types import Object


def create(limitrange: Object, now: str) -> None:
    if not limitrange["metadata"].get("name"):
        limitrange["metadata"]["name"] = meta.new_uid()
