"""TokenRequests."""

from __future__ import annotations

from picluster.api.errors import FieldError, invalid_value
from picluster.api.types import Object

LIFETIME_MIN_S = 600
LIFETIME_MAX_S = 1 << 32


def validate(request: Object) -> list[FieldError]:
    field, seconds = "spec.expirationSeconds", request["spec"].get("expirationSeconds", 0)
    if seconds < LIFETIME_MIN_S:
        return [invalid_value(field, seconds, "may not specify a duration less than 10 minutes")]
    if seconds > LIFETIME_MAX_S:
        return [invalid_value(field, seconds, "may not specify a duration larger than 2^32 seconds")]
    return []
