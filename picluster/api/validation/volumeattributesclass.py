"""VolumeAttributesClasses: nothing of one ever changes. Source: ``pkg/apis/storage/validation``."""

from __future__ import annotations

from picluster.api.errors import FieldError
from picluster.api.types import Object
from picluster.api.validation import metadata, storage

Failures = list[FieldError]


def validate(volumeattributesclass: Object) -> Failures:
    failures: Failures = []
    metadata.validate(volumeattributesclass["metadata"], failures, namespaced=False, name=metadata.subdomain)
    storage.provisioner(volumeattributesclass.get("driverName"), "driverName", failures)
    storage.parameters(volumeattributesclass.get("parameters"), "parameters", failures, may_be_empty=False)
    return failures


def validate_update(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    for field in ("driverName", "parameters"):
        metadata.immutable(new.get(field), old.get(field), field, failures)
    return failures
