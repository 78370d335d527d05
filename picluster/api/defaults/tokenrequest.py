"""TokenRequests: an hour, unless something else is asked for."""

from __future__ import annotations

from picluster.api.types import Object

LIFETIME_S = 3600


def apply(request: Object) -> None:
    request.setdefault("spec", {}).setdefault("expirationSeconds", LIFETIME_S)
