"""IPAddresses. Source: ``pkg/apis/networking/validation``."""

from __future__ import annotations

from picluster.api import names
from picluster.api.errors import FieldError, required
from picluster.api.types import Object
from picluster.api.validation import metadata
from picluster.api.validation.addresses import strict_ip
from picluster.api.validation.common import named

Failures = list[FieldError]


def validate(address: Object) -> Failures:
    failures: Failures = []
    metadata.validate(address["metadata"], failures, namespaced=False, name=strict_ip)
    parent, path = (address.get("spec") or {}).get("parentRef"), "spec.parentRef"
    if parent is None:
        failures.append(required(path))
        return failures
    if group := parent.get("group"):
        named(names.dns1123_subdomain(group), f"{path}.group", group, failures)
    for field in ("resource", "name", "namespace"):
        value = parent.get(field) or ""
        if value:
            named(names.path_segment_name(value), f"{path}.{field}", value, failures)
        elif field != "namespace":
            failures.append(required(f"{path}.{field}"))
    return failures


def validate_update(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    parent, old_parent = (new.get("spec") or {}).get("parentRef"), (old.get("spec") or {}).get("parentRef")
    metadata.immutable(parent, old_parent, "spec.parentRef", failures)
    return failures
