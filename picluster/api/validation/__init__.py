"""What Kubernetes 1.36 refuses, with its field paths and wording; one module per kind, shared pieces beside them.

Runs after decoding, defaulting, admission and strategy, so types are right and defaults are there. Each answer is the
list of everything that is wrong; ``errors.invalid`` makes the 422 of it. A kind's module has ``validate(obj)`` and
``validate_update(new, old)``; those with a status also ``validate_status(new, old)``. Without one, only the metadata is
looked at.
"""

from __future__ import annotations

from picluster.api import errors
from picluster.api.errors import FieldError
from picluster.api.kindfiles import function
from picluster.api.resources import Resource
from picluster.api.types import Object
from picluster.api.validation import metadata

Failures = list[FieldError]


def create(resource: Resource, obj: Object) -> Failures:
    """Everything wrong with a new object."""
    validate = function(__name__, resource, "validate")
    if validate is not None:
        found: Failures = validate(obj)
        return found
    failures: Failures = []
    metadata.validate(obj["metadata"], failures, namespaced=resource.namespaced, name=metadata.subdomain)
    return failures


def update(resource: Resource, new: Object, old: Object) -> Failures:
    """Everything wrong with ``new``, and with becoming it from ``old``."""
    validate = function(__name__, resource, "validate_update")
    if validate is not None:
        found: Failures = validate(new, old)
        return found
    return _metadata_update(new, old)


def status(resource: Resource, new: Object, old: Object) -> Failures:
    """Everything wrong with a status update."""
    validate = function(__name__, resource, "validate_status")
    if validate is not None:
        found: Failures = validate(new, old)
        return found
    return _metadata_update(new, old)


def _metadata_update(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    return failures


def subresource(resource: Resource, name: str, new: Object, old: Object) -> Failures:
    """Everything wrong with an update by another subresource that shows the whole object: ``validate_<name>``."""
    validate = function(__name__, resource, f"validate_{name}")
    if validate is None:
        return update(resource, new, old)
    found: Failures = validate(new, old)
    return found


def finalize(new: Object, old: Object) -> Failures:
    """Everything wrong with an update of a namespace's ``finalize`` subresource."""
    from picluster.api.validation import namespace

    return namespace.validate_finalize(new, old)


def scale(body: Object) -> Failures:
    """Everything wrong with an ``autoscaling/v1`` Scale that is about to be applied."""
    failures: Failures = []
    metadata.validate(body.get("metadata") or {}, failures, namespaced=True, name=metadata.subdomain)
    replicas = (body.get("spec") or {}).get("replicas", 0)
    if replicas < 0:
        failures.append(errors.invalid_value("spec.replicas", replicas, "must be greater than or equal to 0"))
    return failures
