"""Reviews of access, of all three kinds. Source: ``pkg/apis/authorization/validation``."""

from __future__ import annotations

from picluster.api.errors import FieldError, forbidden_field, invalid_value, required
from picluster.api.types import Object

Failures = list[FieldError]


def subject(review: Object) -> Failures:
    """A SubjectAccessReview."""
    failures = _spec(review.get("spec") or {}, subject_named=True)
    _empty_metadata(review, failures, "must be empty", ())
    return failures


def own(review: Object) -> Failures:
    """A SelfSubjectAccessReview."""
    failures = _spec(review.get("spec") or {}, subject_named=False)
    _empty_metadata(review, failures, "must be empty", ())
    return failures


def local(review: Object) -> Failures:
    """A LocalSubjectAccessReview."""
    spec = review.get("spec") or {}
    failures = _spec(spec, subject_named=True)
    _empty_metadata(review, failures, "must be empty except for namespace", ("namespace",))
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is not None and resource.get("namespace", "") != review["metadata"].get("namespace", ""):
        at = "spec.resourceAttributes.namespace"
        failures.append(invalid_value(at, resource.get("namespace", ""), "must match metadata.namespace"))
    if path is not None:
        failures.append(invalid_value("spec.nonResourceAttributes", path, "disallowed on this kind of request"))
    return failures


def _spec(spec: Object, *, subject_named: bool) -> Failures:
    failures: Failures = []
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is not None and path is not None:
        detail = "cannot be specified in combination with resourceAttributes"
        failures.append(invalid_value("spec.nonResourceAttributes", path, detail))
    if resource is None and path is None:
        detail = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        failures.append(invalid_value("spec.resourceAttributes", None, detail))
    if subject_named and not spec.get("user") and not spec.get("groups"):
        failures.append(invalid_value("spec.user", "", "at least one of user or group must be specified"))
    for name in ("fieldSelector", "labelSelector"):
        if resource is not None and resource.get(name) is not None:
            _selector(resource[name], f"spec.resourceAttributes.{name}", failures)
    return failures


def _selector(selector: Object, path: str, failures: Failures) -> None:
    raw, requirements = selector.get("rawSelector", ""), selector.get("requirements") or ()
    if raw and requirements:
        detail = "may not specified at the same time as requirements"
        failures.append(invalid_value(f"{path}.rawSelector", raw, detail))
    if not raw and not requirements:
        detail = f"when {path} is specified, requirements or rawSelector is required"
        failures.append(required(f"{path}.requirements", detail))
    for index, requirement in enumerate(requirements):
        _requirement(requirement, f"{path}.requirements[{index}]", failures)


def _requirement(requirement: Object, path: str, failures: Failures) -> None:
    operator, values = requirement.get("operator", ""), requirement.get("values") or ()
    if not requirement.get("key"):
        failures.append(required(f"{path}.key", "must be specified"))
    if operator in ("In", "NotIn") and not values:
        failures.append(required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
    if operator in ("Exists", "DoesNotExist") and values:
        detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
        failures.append(forbidden_field(f"{path}.values", detail))
    if not operator:
        failures.append(required(f"{path}.operator", "must be specified"))


def _empty_metadata(review: Object, failures: Failures, detail: str, allowed: tuple[str, ...]) -> None:
    metadata = review.get("metadata") or {}
    if any(value for name, value in metadata.items() if name not in (*allowed, "managedFields")):
        failures.append(invalid_value("metadata", metadata, detail))
