"""PodTemplates."""

from __future__ import annotations

from picluster.api.errors import FieldError
from picluster.api.types import Object
from picluster.api.validation import metadata, podspec

Failures = list[FieldError]


def validate(podtemplate: Object) -> Failures:
    failures: Failures = []
    metadata.validate(podtemplate["metadata"], failures, namespaced=True, name=metadata.subdomain)
    podspec.template(podtemplate.get("template") or {}, "template", failures)
    return failures


def validate_update(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    podspec.template(new.get("template") or {}, "template", failures)
    return failures
