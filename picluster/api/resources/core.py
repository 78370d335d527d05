"""Rows of the core group, and of the two groups that show core objects again or beside them."""

from __future__ import annotations

from picluster.api.resources.resource import Resource

_CORE = "io.k8s.api.core.v1."

NAMESPACES = Resource(
    "", "v1", "Namespace", "namespaces", _CORE + "Namespace", namespaced=False, short_names=("ns",),
    subresources=("finalize", "status"), fields=("metadata.name", "status.phase"),
    verbs=("create", "delete", "get", "list", "patch", "update", "watch"),
)  # fmt: skip
NODES = Resource(
    "", "v1", "Node", "nodes", _CORE + "Node", namespaced=False, short_names=("no",), subresources=("proxy", "status"),
    fields=("metadata.name", "spec.unschedulable"),
)  # fmt: skip
PODS = Resource(
    "", "v1", "Pod", "pods", _CORE + "Pod", short_names=("po",), categories=("all",),
    subresources=(
        "attach", "binding", "ephemeralcontainers", "eviction", "exec", "log", "portforward", "proxy", "resize",
        "status",
    ),
    fields=(
        "metadata.name", "metadata.namespace", "spec.nodeName", "spec.restartPolicy", "spec.schedulerName",
        "spec.serviceAccountName", "spec.hostNetwork", "status.phase", "status.podIP", "status.nominatedNodeName",
    ),
)  # fmt: skip
SERVICES = Resource(
    "", "v1", "Service", "services", _CORE + "Service", short_names=("svc",), categories=("all",),
    subresources=("proxy", "status"),
    fields=("metadata.name", "metadata.namespace", "spec.clusterIP", "spec.type"),
)  # fmt: skip
ENDPOINTS = Resource("", "v1", "Endpoints", "endpoints", _CORE + "Endpoints", short_names=("ep",))
CONFIGMAPS = Resource("", "v1", "ConfigMap", "configmaps", _CORE + "ConfigMap", short_names=("cm",))
SECRETS = Resource(
    "", "v1", "Secret", "secrets", _CORE + "Secret", fields=("metadata.name", "metadata.namespace", "type")
)
SERVICE_ACCOUNTS = Resource(
    "",
    "v1",
    "ServiceAccount",
    "serviceaccounts",
    _CORE + "ServiceAccount",
    short_names=("sa",),
    subresources=("token",),
)
REPLICATION_CONTROLLERS = Resource(
    "", "v1", "ReplicationController", "replicationcontrollers", _CORE + "ReplicationController", short_names=("rc",),
    categories=("all",), subresources=("scale", "status"),
    fields=("metadata.name", "metadata.namespace", "status.replicas"),
)  # fmt: skip
POD_TEMPLATES = Resource("", "v1", "PodTemplate", "podtemplates", _CORE + "PodTemplate")
LIMIT_RANGES = Resource("", "v1", "LimitRange", "limitranges", _CORE + "LimitRange", short_names=("limits",))
RESOURCE_QUOTAS = Resource(
    "", "v1", "ResourceQuota", "resourcequotas", _CORE + "ResourceQuota", short_names=("quota",),
    subresources=("status",),
)  # fmt: skip
PERSISTENT_VOLUMES = Resource(
    "", "v1", "PersistentVolume", "persistentvolumes", _CORE + "PersistentVolume", namespaced=False,
    short_names=("pv",), subresources=("status",), fields=("metadata.name",),
)  # fmt: skip
PERSISTENT_VOLUME_CLAIMS = Resource(
    "", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", _CORE + "PersistentVolumeClaim", short_names=("pvc",),
    subresources=("status",),
)  # fmt: skip
COMPONENT_STATUSES = Resource(
    "", "v1", "ComponentStatus", "componentstatuses", _CORE + "ComponentStatus", namespaced=False, short_names=("cs",),
    verbs=("get", "list"), stored=False, fields=("metadata.name",),
)  # fmt: skip
BINDINGS = Resource("", "v1", "Binding", "bindings", _CORE + "Binding", verbs=("create",), stored=False)
CORE_EVENTS = Resource(
    "", "v1", "Event", "events", _CORE + "Event", short_names=("ev",),
    fields=(
        "metadata.name", "metadata.namespace", "involvedObject.kind", "involvedObject.namespace", "involvedObject.name",
        "involvedObject.uid", "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath",
        "reason", "reportingComponent", "source", "type",
    ),
)  # fmt: skip
EVENTS = Resource(
    "events.k8s.io", "v1", "Event", "events", "io.k8s.api.events.v1.Event", short_names=("ev",),
    fields=(
        "metadata.name", "metadata.namespace", "reason", "regarding.kind", "regarding.namespace", "regarding.name",
        "regarding.uid", "regarding.apiVersion", "regarding.resourceVersion", "regarding.fieldPath",
        "reportingController", "type",
    ),
    stored_as="events", file="event_v1",
)  # fmt: skip
LEASES = Resource("coordination.k8s.io", "v1", "Lease", "leases", "io.k8s.api.coordination.v1.Lease")
ENDPOINT_SLICES = Resource(
    "discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", "io.k8s.api.discovery.v1.EndpointSlice"
)
