"""``metadata`` of every kind. Source: ``k8s.io/apimachinery/pkg/api/validation/objectmeta.go``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from picluster.api import names
from picluster.api.errors import FieldError, forbidden_field, invalid_value, required, too_long
from picluster.api.types import Object

ANNOTATIONS_MAX_BYTES = 256 * 1024
IMMUTABLE = "field is immutable"

Failures = list[FieldError]
NameRule = Callable[[str], names.Messages]

subdomain: NameRule = names.dns1123_subdomain
label: NameRule = names.dns1123_label

_STANDARD_FINALIZERS = frozenset({"kubernetes", "orphan", "foregroundDeletion"})
_FIXED = ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")


def validate(
    metadata: Object, failures: Failures, *, namespaced: bool, name: NameRule, own_finalizers: bool = False
) -> None:
    """The metadata of a new object; its name is generated already.

    ``own_finalizers`` allows finalizers without a domain that are none of Kubernetes' own: definitions and custom
    resources may have them.
    """
    get = metadata.get
    prefix = get("generateName")
    if prefix:
        for message in name(prefix[:-1] + "a" if prefix[-1] == "-" else prefix):
            failures.append(invalid_value("metadata.generateName", prefix, message))
    given = get("name")
    if not given:
        failures.append(required("metadata.name", "name or generateName is required"))
    else:
        for message in name(given):
            failures.append(invalid_value("metadata.name", given, message))
    _namespace(get("namespace"), failures, namespaced)
    if (get("generation") or 0) < 0:
        failures.append(invalid_value("metadata.generation", get("generation"), "must be greater than or equal to 0"))
    _common(metadata, failures, own_finalizers)


def validate_update(new: Object, old: Object, failures: Failures, *, own_finalizers: bool = False) -> None:
    """The metadata of an update; what has not changed was fine already."""
    if old.get("deletionTimestamp") and new.get("finalizers"):
        added = sorted(set(new["finalizers"]) - set(old.get("finalizers") or ()))
        if added:
            listed = ", ".join(f'"{finalizer}"' for finalizer in added)
            failures.append(
                forbidden_field(
                    "metadata.finalizers",
                    "no new finalizers can be added if the object is being deleted, found new finalizers"
                    f" []string{{{listed}}}",
                )
            )
    if (new.get("generation") or 0) < (old.get("generation") or 0):
        failures.append(invalid_value("metadata.generation", new.get("generation"), "must not be decremented"))
    for field in _FIXED:
        if new.get(field) != old.get(field):
            failures.append(invalid_value(f"metadata.{field}", new.get(field, ""), IMMUTABLE))
    _common(new, failures, own_finalizers)


def check_labels(values: Mapping[str, str], path: str, failures: Failures) -> None:
    for key, value in values.items():
        for message in names.qualified_name(key):
            failures.append(invalid_value(path, key, message))
        for message in names.label_value(value):
            failures.append(invalid_value(path, value, message))


def check_annotations(values: Mapping[str, str], path: str, failures: Failures) -> None:
    total_bytes = 0
    for key, value in values.items():
        total_bytes += len(key.encode()) + (len(value) if value.isascii() else len(value.encode()))
        for message in names.qualified_name(key.lower()):
            failures.append(invalid_value(path, key, message))
    if total_bytes > ANNOTATIONS_MAX_BYTES:
        failures.append(too_long(path, ANNOTATIONS_MAX_BYTES))


def immutable(new: Any, old: Any, path: str, failures: Failures) -> None:
    """``new`` must be what ``old`` was."""
    if new != old:
        failures.append(invalid_value(path, new, IMMUTABLE))


def _namespace(namespace: str | None, failures: Failures, namespaced: bool) -> None:
    if not namespaced:
        if namespace:
            failures.append(forbidden_field("metadata.namespace", "not allowed on this type"))
    elif not namespace:
        failures.append(required("metadata.namespace"))
    else:
        for message in names.dns1123_label(namespace):
            failures.append(invalid_value("metadata.namespace", namespace, message))


def _common(metadata: Object, failures: Failures, own_finalizers: bool) -> None:
    get = metadata.get
    if values := get("labels"):
        check_labels(values, "metadata.labels", failures)
    if values := get("annotations"):
        check_annotations(values, "metadata.annotations", failures)
    if references := get("ownerReferences"):
        _owners(references, failures)
    if finalizers := get("finalizers"):
        _finalizers(finalizers, failures, own_finalizers)


def _owners(references: list[Object], failures: Failures) -> None:
    path = "metadata.ownerReferences"
    controller = ""
    for reference in references:
        get = reference.get
        if not (get("apiVersion") or "").rpartition("/")[2]:
            failures.append(invalid_value(f"{path}.apiVersion", get("apiVersion", ""), "version must not be empty"))
        for field in ("kind", "name", "uid"):
            if not get(field):
                failures.append(invalid_value(f"{path}.{field}", "", "must not be empty"))
        if get("kind") == "Event" and get("apiVersion") == "v1":
            detail = "/v1, Kind=Event is disallowed from being an owner"
            failures.append(invalid_value(path, reference, detail))
        if get("controller"):
            this = f"{get('kind', '')}/{get('name', '')}"
            if controller:
                failures.append(
                    invalid_value(
                        path,
                        references,
                        'Only one reference can have Controller set to true. Found "true" in references for'
                        f" {controller} and {this}",
                    )
                )
            else:
                controller = this


def _finalizers(finalizers: list[str], failures: Failures, own_finalizers: bool) -> None:
    path = "metadata.finalizers"
    for finalizer in finalizers:
        messages = names.qualified_name(finalizer)
        for message in messages:
            failures.append(invalid_value(path, finalizer, message))
        if not messages and not own_finalizers and "/" not in finalizer and finalizer not in _STANDARD_FINALIZERS:
            detail = "name is neither a standard finalizer name nor is it fully qualified"
            failures.append(invalid_value(path, finalizer, detail))
    if "orphan" in finalizers and "foregroundDeletion" in finalizers:
        detail = "finalizer orphan and foregroundDeletion cannot be both set"
        failures.append(invalid_value(path, finalizers, detail))
