"""DeviceClasses."""

from __future__ import annotations

from picluster.api.errors import FieldError, invalid_value
from picluster.api.types import Object
from picluster.api.validation import devices, metadata
from picluster.api.validation.resource_lists import is_extended

Failures = list[FieldError]


def validate(deviceclass: Object) -> Failures:
    failures: Failures = []
    metadata.validate(deviceclass["metadata"], failures, namespaced=False, name=metadata.subdomain)
    _spec(deviceclass.get("spec") or {}, failures)
    return failures


def validate_update(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    _spec(new.get("spec") or {}, failures)
    return failures


def _spec(spec: Object, failures: Failures) -> None:
    devices.each(spec.get("selectors") or [], devices.selector, "spec.selectors", failures)
    devices.each(spec.get("config") or [], devices.configuration, "spec.config", failures)
    name = spec.get("extendedResourceName")
    if name is not None and not is_extended(name):
        detail = "must be a valid extended resource name"
        failures.append(invalid_value("spec.extendedResourceName", name, detail))
