"""ControllerRevisions: what they recorded never changes."""

from __future__ import annotations

from picluster.api.errors import FieldError, invalid_value, required
from picluster.api.types import Object
from picluster.api.validation import metadata
from picluster.api.validation.common import NOT_NEGATIVE

Failures = list[FieldError]


def validate(revision: Object) -> Failures:
    failures: Failures = []
    metadata.validate(revision["metadata"], failures, namespaced=True, name=metadata.subdomain)
    _contents(revision, failures)
    return failures


def validate_update(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    _contents(new, failures)
    metadata.immutable(new.get("data"), old.get("data"), "data", failures)
    return failures


def _contents(revision: Object, failures: Failures) -> None:
    if revision.get("data") is None:
        failures.append(required("data", "data is mandatory"))
    number = revision.get("revision", 0)
    if number < 0:
        failures.append(invalid_value("revision", number, NOT_NEGATIVE))
