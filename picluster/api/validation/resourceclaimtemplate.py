"""ResourceClaimTemplates never change."""

from __future__ import annotations

from picluster.api.errors import FieldError
from picluster.api.types import Object
from picluster.api.validation import devices, metadata

Failures = list[FieldError]


def validate(template: Object) -> Failures:
    failures: Failures = []
    metadata.validate(template["metadata"], failures, namespaced=True, name=metadata.subdomain)
    spec = template.get("spec") or {}
    meta = spec.get("metadata") or {}
    metadata.check_labels(meta.get("labels") or {}, "spec.metadata.labels", failures)
    metadata.check_annotations(meta.get("annotations") or {}, "spec.metadata.annotations", failures)
    devices.claim((spec.get("spec") or {}).get("devices") or {}, "spec.spec.devices", failures)
    return failures


def validate_update(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    devices.immutable_spec(new, old, failures)
    return failures
