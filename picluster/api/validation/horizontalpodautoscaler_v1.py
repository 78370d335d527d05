"""autoscaling/v1 HorizontalPodAutoscalers are checked as what they are stored as."""

from __future__ import annotations

from picluster.api.conversion.horizontalpodautoscaler_v1 import to_stored
from picluster.api.errors import FieldError
from picluster.api.types import Object
from picluster.api.validation import horizontalpodautoscaler

Failures = list[FieldError]


def validate(autoscaler: Object) -> Failures:
    return horizontalpodautoscaler.validate(to_stored(autoscaler))


def validate_update(new: Object, old: Object) -> Failures:
    return horizontalpodautoscaler.validate_update(to_stored(new), to_stored(old))


def validate_status(new: Object, old: Object) -> Failures:
    return horizontalpodautoscaler.validate_status(to_stored(new), to_stored(old))
