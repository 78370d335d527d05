"""Ingresses: a generation that counts changes of the spec, and an empty load balancer at first."""

from __future__ import annotations

from picluster.api.strategy.shared import spec_changed
from picluster.api.types import Object

changed = spec_changed


def create(ingress: Object, now: str) -> None:
    ingress["status"] = {"loadBalancer": {}}
