"""Events of ``events.k8s.io``. Source: ``pkg/apis/core/validation/events.go``."""

from __future__ import annotations

from picluster.api.errors import FieldError, invalid_value, required
from picluster.api.types import Object
from picluster.api.validation import metadata
from picluster.api.validation.event import namespace_agrees, reporter, texts

Failures = list[FieldError]

_FIXED = {
    "regarding": "involvedObject", "reason": "reason", "note": "message", "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp", "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count", "type": "type", "eventTime": "eventTime", "action": "action", "related": "related",
    "reportingController": "reportingController", "reportingInstance": "reportingInstance",
}  # fmt: skip
"""The fields that stay, and what they are called in complaints: as in the core group."""
_UNSET = ("deprecatedFirstTimestamp", "deprecatedLastTimestamp", "deprecatedCount", "deprecatedSource")


def validate(event: Object) -> Failures:
    failures: Failures = []
    metadata.validate(event["metadata"], failures, namespaced=True, name=metadata.subdomain)
    _body(event, failures)
    _series(event.get("series"), failures)
    if not event.get("eventTime"):
        failures.append(required("eventTime"))
    if event.get("type") not in ("Normal", "Warning"):
        failures.append(invalid_value("type", "", f"has invalid value: {event.get('type', '')}"))
    failures += [invalid_value(_FIXED[field], "", "needs to be unset") for field in _UNSET if event.get(field)]
    return failures


def validate_update(new: Object, old: Object) -> Failures:
    """Only the series of an event goes on; empty structs, which clients in Go send, are as good as none."""
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    _body(new, failures)
    if new.get("series") != old.get("series"):
        _series(new.get("series"), failures)
    for field, told in _FIXED.items():
        metadata.immutable(new.get(field) or None, old.get(field) or None, told, failures)
    return failures


def _body(event: Object, failures: Failures) -> None:
    """What an event of either version has to have; one without a time is of the old form."""
    if not event.get("eventTime"):
        namespace_agrees(event, "regarding", failures, others=("default",))
        return
    namespace_agrees(event, "regarding", failures, others=("default", "kube-system"))
    reporter(event, "reportingController", failures)
    texts(event, "note", failures)


def _series(series: Object | None, failures: Failures) -> None:
    if series is None:
        return
    if series.get("count", 0) < 2:
        failures.append(invalid_value("series.count", "", "should be at least 2"))
    if not series.get("lastObservedTime"):
        failures.append(required("series.lastObservedTime"))
