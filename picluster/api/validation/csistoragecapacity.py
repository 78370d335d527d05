"""CSIStorageCapacities. Source: ``pkg/apis/storage/validation``."""

from __future__ import annotations

from picluster.api import names, quantity
from picluster.api.errors import FieldError, invalid_value
from picluster.api.types import Object
from picluster.api.validation import metadata
from picluster.api.validation.common import NOT_NEGATIVE, label_selector, named

Failures = list[FieldError]


def validate(capacity: Object) -> Failures:
    failures: Failures = []
    metadata.validate(capacity["metadata"], failures, namespaced=True, name=metadata.subdomain)
    _contents(capacity, failures)
    return failures


def validate_update(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    _contents(new, failures)
    for field in ("nodeTopology", "storageClassName"):
        metadata.immutable(new.get(field), old.get(field), field, failures)
    return failures


def _contents(capacity: Object, failures: Failures) -> None:
    if capacity.get("nodeTopology") is not None:
        label_selector(capacity["nodeTopology"], "nodeTopology", failures)
    class_name = capacity.get("storageClassName") or ""
    named(names.dns1123_subdomain(class_name), "storageClassName", class_name, failures)
    for field in ("capacity", "maximumVolumeSize"):
        amount = capacity.get(field)
        if amount is not None and quantity.nanos(amount) < 0:
            failures.append(invalid_value(field, amount, NOT_NEGATIVE))
