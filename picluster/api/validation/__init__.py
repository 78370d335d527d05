"""What Kubernetes 1.36 refuses, with its field paths and wording; one module per kind, shared pieces beside them.

Runs after decoding, defaulting, admission and strategy, so types are right and defaults are there. Each answer is the
list of everything that is wrong; ``errors.invalid`` makes the 422 of it. A kind's module has ``validate(obj)`` and
``validate_update(new, old)``; those with a status also ``validate_status(new, old)``.
"""

from __future__ import annotations

from collections.abc import Callable

from picluster.api import errors
from picluster.api.errors import FieldError
from picluster.api.resources import (
    CONFIGMAPS,
    CORE_EVENTS,
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    ENDPOINTS,
    EVENTS,
    LEASES,
    NAMESPACES,
    NODES,
    PODS,
    REPLICASETS,
    SECRETS,
    SERVICE_ACCOUNTS,
    SERVICES,
    Resource,
)
from picluster.api.types import Object
from picluster.api.validation import (
    configmap,
    deployment,
    endpoints,
    endpointslice,
    event,
    lease,
    metadata,
    namespace,
    node,
    pod,
    replicaset,
    secret,
    service,
    serviceaccount,
)

Failures = list[FieldError]

_CREATE: dict[str, Callable[[Object], Failures]] = {
    NAMESPACES.id: namespace.validate,
    NODES.id: node.validate,
    PODS.id: pod.validate,
    SERVICES.id: service.validate,
    ENDPOINTS.id: endpoints.validate,
    CONFIGMAPS.id: configmap.validate,
    SECRETS.id: secret.validate,
    SERVICE_ACCOUNTS.id: serviceaccount.validate,
    CORE_EVENTS.id: event.validate,
    EVENTS.id: event.validate_new_style,
    DEPLOYMENTS.id: deployment.validate,
    REPLICASETS.id: replicaset.validate,
    LEASES.id: lease.validate,
    ENDPOINT_SLICES.id: endpointslice.validate,
}
_UPDATE: dict[str, Callable[[Object, Object], Failures]] = {
    NAMESPACES.id: namespace.validate_update,
    NODES.id: node.validate_update,
    PODS.id: pod.validate_update,
    SERVICES.id: service.validate_update,
    ENDPOINTS.id: endpoints.validate_update,
    CONFIGMAPS.id: configmap.validate_update,
    SECRETS.id: secret.validate_update,
    SERVICE_ACCOUNTS.id: serviceaccount.validate_update,
    CORE_EVENTS.id: event.validate_update,
    EVENTS.id: event.validate_new_style_update,
    DEPLOYMENTS.id: deployment.validate_update,
    REPLICASETS.id: replicaset.validate_update,
    LEASES.id: lease.validate_update,
    ENDPOINT_SLICES.id: endpointslice.validate_update,
}
_STATUS: dict[str, Callable[[Object, Object], Failures]] = {
    NAMESPACES.id: namespace.validate_status,
    NODES.id: node.validate_status,
    PODS.id: pod.validate_status,
    SERVICES.id: service.validate_status,
    DEPLOYMENTS.id: deployment.validate_status,
    REPLICASETS.id: replicaset.validate_status,
}


def create(resource: Resource, obj: Object) -> Failures:
    """Everything wrong with a new object."""
    return _CREATE[resource.id](obj)


def update(resource: Resource, new: Object, old: Object) -> Failures:
    """Everything wrong with ``new``, and with becoming it from ``old``."""
    return _UPDATE[resource.id](new, old)


def status(resource: Resource, new: Object, old: Object) -> Failures:
    """Everything wrong with a status update."""
    return _STATUS[resource.id](new, old)


def finalize(new: Object, old: Object) -> Failures:
    """Everything wrong with an update of a namespace's ``finalize`` subresource."""
    return namespace.validate_finalize(new, old)


def scale(body: Object) -> Failures:
    """Everything wrong with an ``autoscaling/v1`` Scale that is about to be applied."""
    failures: Failures = []
    metadata.validate(body.get("metadata") or {}, failures, namespaced=True, name=metadata.subdomain)
    replicas = (body.get("spec") or {}).get("replicas", 0)
    if replicas < 0:
        failures.append(errors.invalid_value("spec.replicas", replicas, "must be greater than or equal to 0"))
    return failures
