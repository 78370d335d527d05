"""RuntimeClasses: the handler never changes. Source: ``pkg/apis/node/validation``."""

from __future__ import annotations

from picluster.api import names
from picluster.api.errors import FieldError, duplicate
from picluster.api.types import Object
from picluster.api.validation import metadata, resource_lists, tolerations
from picluster.api.validation.common import named

Failures = list[FieldError]


def validate(runtimeclass: Object) -> Failures:
    failures: Failures = []
    metadata.validate(runtimeclass["metadata"], failures, namespaced=False, name=metadata.subdomain)
    handler = runtimeclass.get("handler", "")
    named(names.dns1123_label(handler), "handler", handler, failures)
    if (overhead := runtimeclass.get("overhead")) is not None:
        resource_lists.requirements({"limits": overhead.get("podFixed")}, "overhead.podFixed", failures)
    if (scheduling := runtimeclass.get("scheduling")) is not None:
        _scheduling(scheduling, failures)
    return failures


def validate_update(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    metadata.immutable(new.get("handler"), old.get("handler"), "handler", failures)
    return failures


def _scheduling(scheduling: Object, failures: Failures) -> None:
    metadata.check_labels(scheduling.get("nodeSelector") or {}, "scheduling.nodeSelector", failures)
    listed = scheduling.get("tolerations") or []
    tolerations.validate(listed, "scheduling.tolerations", failures)
    for index, toleration in enumerate(listed):
        if toleration in listed[:index]:
            failures.append(duplicate(f"scheduling.tolerations[{index}]", toleration))
