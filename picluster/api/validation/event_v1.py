"""Events of ``events.k8s.io``. Source: ``pkg/apis/core/validation/events.go``."""

from __future__ import annotations

from picluster.api.errors import FieldError, invalid_value, required
from picluster.api.types import Object
from picluster.api.validation import metadata
from picluster.api.validation.event import namespace_agrees, reporter, texts

Failures = list[FieldError]

_FIXED = (
    "regarding", "related", "reason", "note", "type", "eventTime", "action", "reportingController",
    "reportingInstance",
)  # fmt: skip


def validate(event: Object) -> Failures:
    failures: Failures = []
    metadata.validate(event["metadata"], failures, namespaced=True, name=metadata.subdomain)
    namespace_agrees(event, "regarding", failures, others=("default", "kube-system"))
    if not event.get("eventTime"):
        failures.append(required("eventTime"))
    if event.get("type") not in ("Normal", "Warning"):
        failures.append(invalid_value("type", "", f"has invalid value: {event.get('type', '')}"))
    reporter(event, "reportingController", failures)
    texts(event, "note", failures)
    series = event.get("series")
    if series is not None:
        if series.get("count", 0) < 2:
            failures.append(invalid_value("series.count", "", "should be at least 2"))
        if not series.get("lastObservedTime"):
            failures.append(required("series.lastObservedTime"))
    return failures


def validate_update(new: Object, old: Object) -> Failures:
    """Only the series of an event goes on."""
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    for field in _FIXED:
        metadata.immutable(new.get(field), old.get(field), field, failures)
    return failures
