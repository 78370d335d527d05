"""What Kubernetes 1.36 fills in when an object leaves a field out; one module per kind, ``apply(obj)`` in place.

Runs on every write after decoding and before admission, so that everybody after it sees whole objects. Also does what
Kubernetes' conversions do there: quantities in canonical form, ``stringData`` into ``data``, old and new names of a
field kept alike. What an allocator or an admission plugin sets (addresses, service accounts) is not defaulting.
"""

from __future__ import annotations

from collections.abc import Callable

from picluster.api.defaults import (
    deployment,
    endpoints,
    endpointslice,
    namespace,
    node,
    pod,
    replicaset,
    secret,
    service,
)
from picluster.api.resources import (
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    ENDPOINTS,
    NAMESPACES,
    NODES,
    PODS,
    REPLICASETS,
    SECRETS,
    SERVICES,
    Resource,
)
from picluster.api.types import Object

_APPLY: dict[str, Callable[[Object], None]] = {
    PODS.id: pod.apply,
    DEPLOYMENTS.id: deployment.apply,
    REPLICASETS.id: replicaset.apply,
    SERVICES.id: service.apply,
    ENDPOINTS.id: endpoints.apply,
    ENDPOINT_SLICES.id: endpointslice.apply,
    SECRETS.id: secret.apply,
    NAMESPACES.id: namespace.apply,
    NODES.id: node.apply,
}
"""Config maps, service accounts, leases and events have no defaults."""


def apply(resource: Resource, obj: Object) -> None:
    """Fill the defaults of a decoded object in place; running it twice changes nothing."""
    fill = _APPLY.get(resource.id)
    if fill is not None:
        fill(obj)
